package rewrite

import (
	"context"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// maxEvent is the largest data of an event, in bytes (traffic-policy.md 6.24).
const maxEvent = 1 << 20

// events is sse-find-replace.
type events struct {
	Replacements []eventReplacement `field:"replacements,required" count:"1,100" doc:"what to replace, in order"`
}

type eventReplacement struct {
	Field *expr.Template  `field:"field" doc:"data or retry; default data"`
	From  *policy.Pattern `field:"from,required" doc:"what to replace"`
	To    *expr.Template  `field:"to" doc:"what to put in its place; $1 is what the first group of from has matched; default empty"`
}

func newEvents(c *events, b *policy.Build) policy.Action {
	for i, r := range c.Replacements {
		if r.Field == nil {
			continue
		}
		if s, ok := r.Field.Static(); ok && s != "data" && s != "retry" {
			b.Problem(fmt.Sprintf("replacements[%d].field", i), fault.PolicyValueUnknown, "field is %q, and has to be data or retry", s)
		}
	}
	return c
}

// Do implements policy.Action.
func (c *events) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	found := []any{}
	for i := range c.Replacements {
		r := &c.Replacements[i]
		text, err := r.target(x)
		if err != nil {
			return 0, err
		}
		var done []byte
		if done, found, err = (&replacement{From: r.From, To: r.To}).apply(x, []byte(*text), i, maxEvent, found); err != nil {
			return 0, err
		}
		*text = string(done)
	}
	x.SetResult("sse_find_replace", map[string]any{"replacements": found})
	return policy.Continue, nil
}

// target returns the field of the event that is changed.
func (r *eventReplacement) target(x *policy.Exchange) (*string, error) {
	name := "data"
	if r.Field != nil {
		var err error
		if name, err = x.Text(r.Field); err != nil {
			return nil, failed(err)
		}
	}
	switch name {
	case "data":
		return &x.Message.Data, nil
	case "retry":
		return &x.Message.Retry, nil
	}
	return nil, fault.New(fault.ReplacementFailed, "an event has no field "+name)
}
