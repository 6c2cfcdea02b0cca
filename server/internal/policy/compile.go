package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Target is the kind of endpoint that a policy is for.
type Target struct {
	// Scheme is the endpoint's; empty checks the document for no scheme in
	// particular.
	Scheme endpoint.Scheme
	// Binding is the endpoint's.
	Binding endpoint.Binding
	// Cloud says that the endpoint stands on the server: its policy has to
	// answer every request (traffic-policy.md 2.2).
	Cloud bool
	// Check accepts actions that are not built yet, with a warning
	// (decision 40).
	Check bool
}

// Compiler makes programs. It may be used by many goroutines.
type Compiler struct {
	registry *Registry
	env      *expr.Env

	mu    sync.Mutex
	cache map[cacheKey]*Program
	order []cacheKey // oldest first
}

type cacheKey struct {
	sum    [sha256.Size]byte
	target Target
}

// maxCached is how many programs a compiler keeps. Others live as long as an
// endpoint uses them.
const maxCached = 1024

// NewCompiler returns a compiler for the actions of a registry.
func NewCompiler(r *Registry) (*Compiler, error) {
	env, err := expr.New(expr.Config{Results: r.Results()})
	if err != nil {
		return nil, err
	}
	return &Compiler{registry: r, env: env, cache: make(map[cacheKey]*Program)}, nil
}

// Compile checks a document for a kind of endpoint and makes its program, the
// same one for the same document. The program is nil if a diagnostic is no
// warning, or if the document is empty or switched off.
func (c *Compiler) Compile(d *Document, t Target) (*Program, Diagnostics) {
	if d.Empty() {
		return nil, nil
	}
	k := cacheKey{d.sum, t}
	c.mu.Lock()
	p := c.cache[k]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, found := c.compile(d, t)
	if found.Failed() || d.disabled {
		return nil, found
	}
	if len(found) == 0 { // warnings are to be told again
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.order) >= maxCached {
			delete(c.cache, c.order[0])
			c.order = c.order[1:]
		}
		c.cache[k], c.order = p, append(c.order, k)
	}
	return p, found
}

// CompileText parses and compiles a document, and reports all that is wrong with
// it at once. The program is as that of Compile.
func (c *Compiler) CompileText(file string, doc []byte, t Target) (*Program, Diagnostics) {
	d, found := read(file, doc)
	if !found.Failed() {
		p, more := c.Compile(d, t)
		return p, append(found, more...).sorted()
	}
	t.Cloud = false // whether it answers cannot be told
	_, more := c.compile(d, t)
	return nil, append(found, more...).sorted()
}

// compilation is one run of the compiler.
type compilation struct {
	parser
	*Compiler
	target  Target
	program *Program
	// ended is the first rule of a phase after which nothing is reached.
	ended [phases]string
	// identities counts what Build.Nth was asked.
	identities map[string]int
	// patterns is the size of all regular expressions so far.
	patterns int
}

// maxPatterns bounds the regular expressions of one document together, in instructions of their compiled form, of which
// a few bytes may make thousands: some 4 MB.
const maxPatterns = 50_000

// weigh counts patterns of a place in the document, and refuses the first that are too many. Whoever has something to
// compile asks full before.
func (c *compilation) weigh(at *node, path string, size int) {
	if c.full() {
		return
	}
	if c.patterns += size; c.full() {
		c.problem(at, path, fault.PolicyTooManyElements, "the regular expressions of the policy are too large, all together; shorten them, or their repetitions such as {1000}")
	}
}

// full reports whether weigh has refused something: nothing more is compiled.
func (c *compilation) full() bool { return c.patterns > maxPatterns }

func (c *Compiler) compile(d *Document, t Target) (*Program, Diagnostics) {
	run := &compilation{
		parser: parser{doc: d}, Compiler: c, target: t,
		program: &Program{env: c.env, reads: make(map[string]bool)},
	}
	lists := slices.Clone(d.lists)
	slices.SortStableFunc(lists, func(a, b ruleList) int { return older(a.key) - older(b.key) })
	for _, l := range lists {
		run.list(l)
	}
	if t.Cloud && !run.found.Failed() {
		run.answers()
	}
	return run.program, run.found.sorted()
}

// older sorts the older directions first.
func older(key string) int {
	if key == inbound || key == outbound {
		return 0
	}
	return 1
}

// phase returns the phase that a key stands for.
func (c *compilation) phase(l ruleList) (Phase, bool) {
	stream := c.target.Scheme == endpoint.TCP || c.target.Scheme == endpoint.TLS
	switch {
	case l.key == outbound && stream:
		c.problem(l.at, l.key, fault.PhaseUnavailable, "%s endpoints have no outbound rules", c.target.Scheme)
		return 0, false
	case l.key == outbound:
		return OnHTTPResponse, true
	case l.key == inbound && stream:
		return OnTCPConnect, true
	case l.key == inbound:
		return OnHTTPRequest, true
	}
	return Phase(slices.Index(phaseNames[:], l.key)), true //nolint:gosec // one of four
}

func (c *compilation) list(l ruleList) {
	ph, ok := c.phase(l)
	if !ok {
		return
	}
	if !available(ph, c.target.Scheme) {
		c.problem(l.at, l.key, fault.PhaseUnavailable, "%s endpoints have no phase %s; they have on_tcp_connect", c.target.Scheme, l.key)
		return
	}
	if ph == OnTCPConnect && c.target.Binding == endpoint.Internal && (c.target.Scheme == endpoint.HTTP || c.target.Scheme == endpoint.HTTPS) {
		c.warn(l.at, l.key, fault.ConnectOnInternal, "on_tcp_connect never runs on an internal %s endpoint", c.target.Scheme)
	}
	for _, r := range l.rules {
		info := RuleInfo{Phase: ph, Index: len(c.program.rules[ph]), Name: r.name, Path: r.path, Line: r.at.line}
		c.program.rules[ph] = append(c.program.rules[ph], c.rule(r, info))
	}
}

// scopes of the phases' expressions.
var phaseScopes = [phases]expr.Scope{expr.Connect, expr.Request, expr.Response, expr.Event}

func (c *compilation) rule(r rule, info RuleInfo) compiledRule {
	out := compiledRule{info: info}
	if c.ended[info.Phase] != "" {
		c.warn(r.at, r.path, fault.ActionUnreachable, "this rule is never reached: %s ends the phase for everybody", c.ended[info.Phase])
	}
	for i, e := range r.expressions {
		if !e.scalar() || c.full() {
			continue // read, or weigh, has reported it
		}
		b, problems := c.env.Bool(e.text, phaseScopes[info.Phase])
		c.expressionProblems(e, fmt.Sprintf("%s.expressions[%d]", r.path, i), fault.ExpressionInvalid, problems)
		if b != nil {
			c.reads(b.Reads())
			c.weigh(e, fmt.Sprintf("%s.expressions[%d]", r.path, i), b.Patterns())
			out.expressions = append(out.expressions, b)
		}
	}
	end := ""
	for _, a := range r.actions {
		if end != "" {
			c.problem(a.at, a.path, fault.ActionUnreachable, "%s is never reached, because %s before it ends the phase", a.typ, end)
		}
		if a.typ == "" {
			continue // as above
		}
		s, ok := c.action(a, info)
		if !ok {
			continue
		}
		out.actions = append(out.actions, s)
		if e, ok := s.action.(Ender); ok && e.Ends() && !s.continueOn {
			end = s.typ
			if len(r.expressions) == 0 && !r.unread && c.ended[info.Phase] == "" {
				c.ended[info.Phase] = r.path
			}
		}
	}
	c.open(r, out)
	return out
}

// open warns of a rule that keeps somebody out and does not match if something
// is absent.
func (c *compilation) open(r rule, out compiledRule) {
	i, need, found := expr.Unasked(out.expressions)
	if !found || len(out.expressions) != len(r.expressions) {
		return
	}
	for _, s := range out.actions {
		if c.registry.byName[s.typ].Protects {
			c.expressionProblems(r.expressions[i], fmt.Sprintf("%s.expressions[%d]", r.path, i), fault.ExpressionInvalid, []expr.Problem{{
				Offset: need.Offset, Warning: true,
				Message: fmt.Sprintf("where %s is absent, the rule does not match, and %s lets it through; ask with has() whether it is there", need.Source, s.typ),
			}})
			return
		}
	}
}

func (c *compilation) action(a action, info RuleInfo) (step, bool) {
	d := c.registry.byName[a.typ]
	if d == nil {
		c.problem(a.at, a.path+".type", fault.ActionUnknown, "there is no action %s%s", a.typ, didYouMean(a.typ, c.registry.types()))
		return step{}, false
	}
	if d.Type != a.typ {
		c.warn(a.at, a.path+".type", fault.ActionUnknown, "%s is another name for %s; write %s", a.typ, d.Type, d.Type)
	}
	if !d.In(info.Phase) {
		var names []string
		for _, p := range d.Phases {
			names = append(names, p.String())
		}
		c.problem(a.at, a.path+".type", fault.ActionPhase, "%s cannot stand in %s, only in %s", d.Type, info.Phase, strings.Join(names, ", "))
		return step{}, false
	}
	if c.target.Scheme != "" && !slices.Contains(d.Schemes, c.target.Scheme) {
		c.problem(a.at, a.path+".type", fault.ActionScheme, "%s is not for %s endpoints", d.Type, c.target.Scheme)
		return step{}, false
	}
	if !d.Built() {
		c.add(a.at, a.path+".type", fault.ActionNotBuilt, c.target.Check, fmt.Sprintf("the action %s is not built yet", d.Type))
		return step{}, false
	}
	if a.unread {
		return step{}, false
	}
	return c.configure(d, a, info)
}

// configure decodes the configuration and builds the action.
func (c *compilation) configure(d *Definition, a action, info RuleInfo) (step, bool) {
	b := &Build{
		Phase: info.Phase, Scheme: c.target.Scheme, Name: info.Name, Path: a.path, OnError: d.OnError,
		c: c, at: a.config,
	}
	if b.at == nil {
		b.at = a.at
	}
	dec := &decoder{Build: b, scope: phaseScopes[info.Phase]}
	config := reflect.New(d.config)
	config.Elem().Set(d.preset)
	var extra []string
	if d.OnError != "" {
		extra = []string{"on_error"}
		if v := a.config.get("on_error"); v != nil && v.kind != null && dec.enum(v, a.path+".config.on_error", `enum:"halt,continue"`) {
			b.OnError = v.text
		}
	}
	dec.structure(a.config, a.path+".config", config.Elem(), extra...)
	if dec.incomplete {
		return step{}, false
	}
	built, err := d.build(config.Interface(), b)
	if err != nil {
		if !errors.Is(err, errReported) {
			b.Problem("", fault.ActionConfigInvalid, "%s", err)
		}
		return step{}, false
	}
	s := step{typ: d.Type, action: built, continueOn: b.OnError == ContinueOn}
	if len(d.Results) > 0 {
		s.namespace, _ = cutDot(d.Results[0].Name)
	}
	return s, true
}

// answers checks that the policy of a cloud endpoint answers every request.
func (c *compilation) answers() {
	ph := OnHTTPRequest
	if c.target.Scheme == endpoint.TCP || c.target.Scheme == endpoint.TLS {
		ph = OnTCPConnect
	}
	if c.ended[ph] == "" {
		c.problem(nil, ph.String(), fault.PolicyMayNotAnswer,
			"nobody stands behind a cloud endpoint, and this policy may leave a request without an answer; end %s with a rule without expressions that holds deny, custom-response, forward-internal or close-connection", ph)
	}
}

// expressionProblems reports what the language says, and whether it refuses.
func (c *compilation) expressionProblems(at *node, path string, code fault.Code, problems []expr.Problem) (refused bool) {
	for _, p := range problems {
		line, column := at.place(p.Offset)
		c.add(&node{line: line, column: column}, path, code, p.Warning, p.Message)
		refused = refused || !p.Warning
	}
	return refused
}

// reads notes which variables the policy names.
func (c *compilation) reads(names []string) {
	for _, n := range names {
		c.program.reads[n] = true
	}
}
