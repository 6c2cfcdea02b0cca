package edge

import (
	"errors"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// redactor hides from logs and pages what the expressions of the exchange have
// got of secrets. It is nil if that is nothing.
func (x *exchange) redactor() *policy.Redactor {
	if x.run == nil {
		return nil
	}
	return x.run.px.Redactor()
}

// redacted is a fault of the exchange as people may see it.
func (x *exchange) redacted(f *fault.Error) *fault.Error { return redact(f, x.redactor()) }

// redact returns a fault without the values that r knows, in its cause too.
func redact(f *fault.Error, r *policy.Redactor) *fault.Error {
	if r == nil {
		return f
	}
	out := *f
	out.Message, out.Remedy = r.Text(f.Message), r.Text(f.Remedy)
	if f.Cause != nil {
		out.Cause = errors.New(r.Text(f.Cause.Error()))
	}
	return &out
}
