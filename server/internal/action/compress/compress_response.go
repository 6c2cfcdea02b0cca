package compress

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

type config struct {
	Algorithms []string `field:"algorithms" doc:"codings that may be used, the preferred first: gzip, deflate, br, compress"`
}

// Definitions returns the actions of this package.
func Definitions() []policy.Definition {
	return []policy.Definition{policy.Define(policy.Definition{
		Type:   "compress-response",
		Doc:    "Compresses the body of the response in a coding that the client accepts.",
		Phases: []policy.Phase{policy.OnHTTPResponse},
		Results: []expr.Variable{
			{Name: "compress.already_compressed", Kind: expr.KindBool, Doc: "whether the response had a coding before"},
			{Name: "compress.negotiated_algorithm", Kind: expr.KindText, Doc: "the coding that was used; empty if none"},
		},
	}, config{}, build)}
}

type action struct{ algorithms []string }

func build(c *config, b *policy.Build) policy.Action {
	if len(c.Algorithms) == 0 {
		return &action{codings}
	}
	for i, name := range c.Algorithms {
		field := fmt.Sprintf("algorithms[%d]", i)
		if !slices.Contains(codings, name) {
			b.Problem(field, fault.CompressionUnknown, "%q is not one of %s", name, strings.Join(codings, ", "))
		}
		if slices.Contains(c.Algorithms[:i], name) {
			b.Problem(field, fault.PolicyDuplicate, "%s stands here twice", name)
		}
	}
	return &action{c.Algorithms}
}

// Do implements policy.Action.
func (a *action) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	already, used := a.compress(x.Request, x.Response)
	x.SetResult("compress", map[string]any{"already_compressed": already, "negotiated_algorithm": used})
	return policy.Continue, nil
}

func (a *action) compress(req *http.Request, resp *http.Response) (already bool, used string) {
	if encoded(resp.Header) {
		return true, ""
	}
	accept := req.Header.Values("Accept-Encoding")
	if len(accept) == 0 || !compressible(req, resp) {
		return false, ""
	}
	vary(resp.Header)
	coding := negotiate(strings.Join(accept, ","), a.algorithms)
	if coding == "" {
		return false, ""
	}
	h := resp.Header
	h.Set("Content-Encoding", coding)
	h.Del("Content-Length")
	h.Del("Accept-Ranges")
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h.Set("ETag", "W/"+tag)
	}
	resp.Body = newReader(resp.Body, resp.ContentLength, coding)
	resp.ContentLength = -1
	return false, coding
}

// encoded reports whether a response has a coding already.
func encoded(h http.Header) bool {
	for _, v := range h.Values("Content-Encoding") {
		for c := range strings.SplitSeq(v, ",") {
			if c = strings.TrimSpace(c); c != "" && !strings.EqualFold(c, "identity") {
				return true
			}
		}
	}
	return false
}

// compressible reports whether the response has a body that may be changed.
func compressible(req *http.Request, resp *http.Response) bool {
	switch {
	case req.Method == http.MethodHead, req.Method == http.MethodConnect, !policy.BodyAllowed(resp.StatusCode):
		return false
	case resp.StatusCode == http.StatusPartialContent, resp.Body == nil, resp.Body == http.NoBody, resp.ContentLength == 0:
		return false
	}
	for _, v := range resp.Header.Values("Cache-Control") {
		for d := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(d), "no-transform") {
				return false
			}
		}
	}
	return true
}

// vary says that the response depends on Accept-Encoding.
func vary(h http.Header) {
	for _, v := range h.Values("Vary") {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	list := append(h.Values("Vary"), "Accept-Encoding")
	h.Set("Vary", strings.Join(list, ", "))
}
