package respond

import (
	"context"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/substitute"
)

// redirect is redirect.
type redirect struct {
	From    *policy.Pattern `field:"from" doc:"what to replace in the URL of the request; default all of it"`
	To      *expr.Template  `field:"to,required" doc:"what to put in its place; $1 is what the first group of from has matched"`
	Status  int             `field:"status_code" doc:"301, 302, 303, 307 or 308; default 302"`
	Headers policy.Fields   `field:"headers" count:"0,10" doc:"more headers of the answer"`
}

func newRedirect(c *redirect, b *policy.Build) policy.Action {
	switch c.Status {
	case 301, 302, 303, 307, 308:
	default:
		b.Problem("status_code", fault.PolicyValueUnknown, "status_code is %d, and has to be one of 301, 302, 303, 307, 308", c.Status)
	}
	b.CheckHeaders("headers", c.Headers, "Host", "Location")
	return c
}

// Do implements policy.Action.
func (c *redirect) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	done, err := substitute.URL{From: c.From, To: c.To}.Apply(x)
	result := map[string]any{"matches": append([]string{}, done.Matches...), "url": "", "error.code": "", "error.message": ""}
	if done.URL != nil {
		result["url"] = done.Text
	}
	if f := fault.From(err); f != nil {
		result["error.code"], result["error.message"] = string(f.Code), f.Message
	}
	x.SetResult("redirect", result)
	if err != nil || done.URL == nil {
		return policy.Continue, err
	}
	headers, err := evaluate(x, c.Headers)
	if err != nil {
		return 0, err
	}
	resp := x.Respond(c.Status, "") //nolint:bodyclose // a text
	set(resp.Header, headers)
	resp.Header.Set("Location", done.Text)
	return policy.Answer, nil
}

// Ends implements policy.Ender. A redirect without from may still find the
// request where it would send it, but documents rely on it (traffic-policy.md
// 2.2).
func (c *redirect) Ends() bool { return c.From == nil }
