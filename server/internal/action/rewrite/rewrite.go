package rewrite

import (
	"cmp"

	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// DefaultMaxBody is the largest body that is changed by default, in bytes
// (traffic-policy.md 1.7).
const DefaultMaxBody = 10 << 20

// Options are settings of the family.
type Options struct {
	// MaxBody is the largest body that is changed, in bytes, before and after,
	// and decoded; default DefaultMaxBody.
	MaxBody int
}

// Definitions returns the actions of this family.
func Definitions(o Options) []policy.Definition {
	limit := cmp.Or(o.MaxBody, DefaultMaxBody)
	return []policy.Definition{
		policy.Define(policy.Definition{
			Type: "request-body-find-replace", Doc: "Finds and replaces in the body of the request.",
			Phases: []policy.Phase{policy.OnHTTPRequest}, Results: replacementResults("request_body_find_replace"),
		}, requestBody{}, func(c *requestBody, _ *policy.Build) policy.Action { c.limit = limit; return c }),
		policy.Define(policy.Definition{
			Type: "response-body-find-replace", Doc: "Finds and replaces in the body of the response.",
			Phases: []policy.Phase{policy.OnHTTPResponse}, Results: replacementResults("response_body_find_replace"),
		}, responseBody{}, func(c *responseBody, _ *policy.Build) policy.Action { c.limit = limit; return c }),
		policy.Define(policy.Definition{
			Type: "sse-find-replace", Doc: "Finds and replaces in each event of an event stream.",
			Phases: []policy.Phase{policy.OnEventStreamMessage}, Results: replacementResults("sse_find_replace"),
		}, events{}, newEvents),
		policy.Define(policy.Definition{
			Type: "url-rewrite", Doc: "Changes the URL of the request on its way to the upstream.",
			Phases: []policy.Phase{policy.OnHTTPRequest},
			Results: []expr.Variable{
				{Name: "url_rewrite.matches", Kind: expr.KindTextList, Doc: "what `from` has matched"},
				{Name: "url_rewrite.url", Kind: expr.KindText, Doc: "the new URL; empty if it is the old one"},
				{Name: "url_rewrite.error.code", Kind: expr.KindText, Doc: "code of the fault; empty if there was none"},
				{Name: "url_rewrite.error.message", Kind: expr.KindText, Doc: "what went wrong; empty if nothing did"},
			},
		}, urlRewrite{}, newURLRewrite),
	}
}

func replacementResults(namespace string) []expr.Variable {
	return []expr.Variable{{
		Name: namespace + ".replacements", Kind: expr.KindList,
		Doc: "for each replacement that has matched: `replacement_index` from 0, and `matched_content`, the first match",
	}}
}
