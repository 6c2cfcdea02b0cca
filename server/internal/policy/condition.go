package policy

import (
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Condition compiles an expression that a setting holds and that has variables
// of its own; nil, and a fault is reported, if it does not compile.
func (b *Build) Condition(field, source string, s expr.Scope) *expr.Bool {
	if b.c.full() {
		b.failed = true
		return nil
	}
	e, problems := b.c.env.Bool(source, s)
	at, _ := b.find(field)
	if b.c.expressionProblems(at, b.path(field), fault.TemplateInvalid, problems) {
		b.failed = true
		return nil
	}
	b.c.reads(e.Reads())
	b.c.weigh(at, b.path(field), e.Patterns())
	return e
}

// Holds evaluates such an expression. One that fails does not hold.
func (x *Exchange) Holds(e *expr.Bool) bool {
	x.frame.Forget()
	held, err := e.Eval(x.frame)
	return err == nil && held
}
