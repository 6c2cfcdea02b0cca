package workbench

import (
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// What became of a rule.
const (
	matched    = "match"
	notMatched = "no match"
	notReached = "not reached"
)

// Phase is one passage through the rules of a phase.
type Phase struct {
	Phase string `json:"phase"`
	// Event is the data of the event in the event phase.
	Event *string `json:"event,omitempty"`
	Rules []Rule  `json:"rules"`
}

// Rule is what became of a rule.
type Rule struct {
	// Path is such as on_http_request[0]; Line is where it begins.
	Path string `json:"path"`
	Line int    `json:"line"`
	Name string `json:"name,omitempty"`
	// Outcome is "match", "no match" or "not reached".
	Outcome string `json:"outcome"`
	// Expressions are those that were evaluated, Actions those that ran.
	Expressions []Expression `json:"expressions,omitempty"`
	Actions     []Action     `json:"actions,omitempty"`
}

// Expression is an expression that was evaluated.
type Expression struct {
	Expression string `json:"expression"`
	Held       bool   `json:"held"`
	// Error is why it failed, which counts as false.
	Error string      `json:"error,omitempty"`
	Parts []expr.Part `json:"parts,omitempty"`
}

// Action is an action that ran.
type Action struct {
	Type string `json:"type"`
	// Verdict is "continue", "answer", "refuse", "close" or "error".
	Verdict string `json:"verdict"`
	// Code and Error are those of a fault.
	Code  fault.Code `json:"code,omitempty"`
	Error string     `json:"error,omitempty"`
	// Changes are what it left different, a line each.
	Changes []string `json:"changes,omitempty"`
	// Microseconds is how long it took.
	Microseconds float64 `json:"microseconds"`
}

var verdicts = [...]string{
	policy.Continue: "continue", policy.Answer: "answer", policy.Refuse: "refuse", policy.Close: "close",
}

// recorder listens to the trace of an exchange.
type recorder struct {
	registry *policy.Registry
	program  *policy.Program
	x        *policy.Exchange
	phases   []Phase
	at       policy.Phase
	last     state
}

// attach makes the recorder listen to an exchange.
func (r *recorder) attach(x *policy.Exchange) {
	r.x = x
	x.Trace = &policy.Trace{Expression: r.expression, Rule: r.rule, Action: r.action}
}

// begin notes that a phase begins.
func (r *recorder) begin(ph policy.Phase) {
	p := Phase{Phase: ph.String()}
	if ph == policy.OnEventStreamMessage {
		data := r.x.Message.Data
		p.Event = &data
	}
	for _, info := range r.program.Rules(ph) {
		p.Rules = append(p.Rules, Rule{Path: info.Path, Line: info.Line, Name: info.Name, Outcome: notReached})
	}
	r.phases, r.at = append(r.phases, p), ph
	r.last = r.state()
}

// reach returns the record of a rule that is looked at. With the first rule a
// phase begins.
func (r *recorder) reach(info policy.RuleInfo) *Rule {
	if n := len(r.phases); n == 0 || r.at != info.Phase || info.Index == 0 && r.phases[n-1].Rules[0].Outcome != notReached {
		r.begin(info.Phase)
	}
	return r.of(info)
}

// of returns the record of a rule in the phase under way.
func (r *recorder) of(info policy.RuleInfo) *Rule {
	return &r.phases[len(r.phases)-1].Rules[info.Index]
}

func (r *recorder) expression(info policy.RuleInfo, source string, held bool, parts []expr.Part, err error) {
	e := Expression{Expression: source, Held: held}
	for _, p := range parts {
		e.Parts = append(e.Parts, expr.Part{Source: p.Source, Value: shorten(p.Value)})
	}
	if err != nil {
		e.Error = err.Error()
	}
	rule := r.reach(info)
	rule.Expressions = append(rule.Expressions, e)
}

func (r *recorder) rule(info policy.RuleInfo, held bool) {
	rule := r.reach(info)
	rule.Outcome = notMatched
	if held {
		rule.Outcome = matched
	}
}

func (r *recorder) action(info policy.RuleInfo, typ string, v policy.Verdict, err error, took time.Duration) {
	now := r.state()
	a := Action{Type: typ, Verdict: verdicts[v], Changes: r.last.changes(now), Microseconds: float64(took.Nanoseconds()) / 1e3}
	r.last = now
	if err != nil {
		f := fault.From(err)
		a.Verdict, a.Code, a.Error = "error", f.Code, f.Message
		if f.Cause != nil && !strings.Contains(f.Message, f.Cause.Error()) {
			a.Error += " " + f.Cause.Error()
		}
	}
	rule := r.of(info)
	rule.Actions = append(rule.Actions, a)
}

// maxValue is how many characters of a value are shown.
const maxValue = 300

// shorten cuts a value that is too long to be looked at.
func shorten(s string) string {
	if r := []rune(s); len(r) > maxValue {
		return string(r[:maxValue]) + "…"
	}
	return s
}
