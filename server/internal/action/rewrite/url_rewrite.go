package rewrite

import (
	"context"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/substitute"
)

// urlRewrite is url-rewrite.
type urlRewrite struct {
	From *policy.Pattern `field:"from" doc:"what to replace in the URL of the request; default all of it"`
	To   *expr.Template  `field:"to,required" doc:"what to put in its place; $1 is what the first group of from has matched"`
}

func newURLRewrite(c *urlRewrite, _ *policy.Build) policy.Action { return c }

// Do implements policy.Action.
func (c *urlRewrite) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	done, err := substitute.URL{From: c.From, To: c.To}.Apply(x)
	result := map[string]any{"matches": append([]string{}, done.Matches...), "url": "", "error.code": "", "error.message": ""}
	if f := fault.From(err); f != nil {
		result["error.code"], result["error.message"] = string(f.Code), f.Message
	}
	if done.URL != nil {
		result["url"] = done.Text
		move(x, done)
	}
	x.SetResult("url_rewrite", result)
	return policy.Continue, err
}

// move gives the request its new URL. A fragment does not go upstream, and a
// host that did not change leaves the Host as the client wrote it.
func move(x *policy.Exchange, done substitute.Replaced) {
	r, to := x.Request, *done.URL
	if done.Host != "" {
		r.Host = done.Host
	}
	to.Fragment, to.RawFragment = "", ""
	r.URL = &to
	r.RequestURI = to.RequestURI()
}
