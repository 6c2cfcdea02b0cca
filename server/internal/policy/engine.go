package policy

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Program is a compiled policy. It is immutable and shared.
type Program struct {
	env   *expr.Env
	rules [phases][]compiledRule
	reads map[string]bool
	// ipPolicies and authorities are those that actions name.
	ipPolicies, authorities []Reference
}

type compiledRule struct {
	info        RuleInfo
	expressions []*expr.Bool
	actions     []step
}

// step is a configured action.
type step struct {
	typ        string
	action     Action
	continueOn bool
	namespace  string // of its results
}

// Env returns the environment of the program's expressions, for NewExchange.
func (p *Program) Env() *expr.Env { return p.env }

// Has reports whether a phase has rules. A nil program has none.
func (p *Program) Has(ph Phase) bool { return p != nil && len(p.rules[ph]) > 0 }

// Rules returns the rules of a phase in their order.
func (p *Program) Rules(ph Phase) []RuleInfo {
	var all []RuleInfo
	for i := range p.rules[ph] {
		all = append(all, p.rules[ph][i].info)
	}
	return all
}

// Reads reports whether some expression names a variable.
func (p *Program) Reads(name string) bool { return p.reads[name] }

// IPPolicies returns where actions name IP policies. Whether an account has them
// is for others to judge. The caller must not change it.
func (p *Program) IPPolicies() []Reference { return p.ipPolicies }

// Authorities returns where actions name certificate authorities, as [Program.IPPolicies] does.
func (p *Program) Authorities() []Reference { return p.authorities }

// Reference is a place in a document that names an object of the account.
type Reference struct {
	// ID is that of the object.
	ID string
	at Diagnostic
}

// Unknown is the mistake of a reference to nothing, or the warning where that is none.
func (r Reference) Unknown(what string) Diagnostic {
	d := r.at
	d.Message = fmt.Sprintf("the account has no %s %s", what, r.ID)
	return d
}

// Run runs the rules of a phase (traffic-policy.md 2). The fault of an action
// ends it. With Answer or Refuse the exchange has a Response, unless the phase
// is OnTCPConnect.
func (p *Program) Run(ctx context.Context, ph Phase, x *Exchange) (Verdict, error) {
	switch ph {
	case OnHTTPRequest:
		dropListed(x.Request.Header)
	case OnHTTPResponse:
		dropListed(x.Response.Header)
	default:
	}
	for i := range p.rules[ph] {
		r := &p.rules[ph][i]
		if !r.holds(x) {
			continue
		}
		for j := range r.actions {
			s := &r.actions[j]
			v, err := s.run(ctx, r, x)
			if err != nil || v != Continue {
				return v, err
			}
		}
	}
	return Continue, nil
}

// holds evaluates the expressions. One that fails does not hold: documents
// index headers that most requests lack, and rely on it.
func (r *compiledRule) holds(x *Exchange) bool {
	if x.Trace != nil {
		return r.traced(x)
	}
	for _, e := range r.expressions {
		if !e.Holds(x.frame) {
			return false
		}
	}
	return true
}

// traced is as holds, and tells the trace.
func (r *compiledRule) traced(x *Exchange) bool {
	held := true
	for i := 0; held && i < len(r.expressions); i++ {
		e := r.expressions[i]
		if x.Trace.Expression == nil {
			held = e.Holds(x.frame)
			continue
		}
		h, parts, err := e.Trace(x.frame)
		held = h && err == nil
		x.Trace.Expression(r.info, e.String(), held, parts, err)
	}
	if x.Trace.Rule != nil {
		x.Trace.Rule(r.info, held)
	}
	return held
}

func (s *step) run(ctx context.Context, r *compiledRule, x *Exchange) (v Verdict, err error) {
	var start time.Time
	if x.Trace != nil {
		start = time.Now()
	}
	v, err = s.do(ctx, x)
	x.Changed()
	if x.Trace != nil && x.Trace.Action != nil {
		x.Trace.Action(r.info, s.typ, v, err, time.Since(start))
	}
	if err == nil {
		return v, nil
	}
	f := fault.From(err)
	if s.continueOn && ctx.Err() == nil {
		x.failed(s.namespace, f)
		return Continue, nil
	}
	return Refuse, f
}

// do contains a panic: it costs the exchange and nothing else.
func (s *step) do(ctx context.Context, x *Exchange) (v Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			if r == http.ErrAbortHandler {
				panic(r)
			}
			v, err = Refuse, fault.Wrap(fmt.Errorf("panic: %v\n%s", r, debug.Stack()), fault.PolicyInternal, s.typ)
		}
	}()
	return s.action.Do(ctx, x)
}

// failed records the fault of an action that the policy goes on after.
func (x *Exchange) failed(namespace string, f *fault.Error) {
	values := make(map[string]any)
	before, _ := x.resultsOf(namespace)
	maps.Copy(values, before)
	values["error.code"], values["error.message"] = string(f.Code), f.Message
	x.SetResult(namespace, values)
}

// Origin is where a response comes from.
type Origin uint8

// The origins of responses.
const (
	FromUpstream  Origin = iota // the upstream, or an internal endpoint
	FromAnswer                  // an action that answers
	FromRefusal                 // an action that refuses
	FromErrorPage               // a fault
)

// ResponsePhase reports whether the response phase runs over a response of this
// origin (traffic-policy.md 2.2).
func ResponsePhase(o Origin) bool { return o == FromUpstream || o == FromAnswer }

// available reports whether endpoints of a scheme have a phase
// (traffic-policy.md 2.3).
func available(ph Phase, s endpoint.Scheme) bool {
	return ph == OnTCPConnect || s == endpoint.HTTP || s == endpoint.HTTPS || s == ""
}
