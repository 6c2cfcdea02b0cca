package policy

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Verdict is what an action wants to happen next.
type Verdict uint8

// The verdicts (traffic-policy.md 2.2).
const (
	// Continue runs the next action.
	Continue Verdict = iota
	// Answer ends the phase with the Response that the action has set. In the
	// request phase the response phase then runs over it; in the connect phase
	// the connection has been given a Target.
	Answer
	// Refuse ends the phase with the Response that the action has set, past
	// the response phase. In the connect phase the connection is closed.
	Refuse
	// Close closes the connection with no answer.
	Close
)

// Action is a configured action. It is shared by all exchanges and must not
// change.
type Action interface {
	// Do acts on x. A fault that it returns is answered by the engine, or
	// passed over if the action's on_error says continue; it neither logs what
	// it returns nor writes error pages.
	Do(ctx context.Context, x *Exchange) (Verdict, error)
}

// Ender is an Action that may end its phase in every case, which the checks of
// documents ask for.
type Ender interface {
	// Ends reports whether nothing after the action is ever reached.
	Ends() bool
}

// Values of on_error (traffic-policy.md 3.3).
const (
	Halt       = "halt"
	ContinueOn = "continue"
)

// Definition describes a type of action. Make it with Define.
type Definition struct {
	// Type is the action's name in documents.
	Type string
	// Aliases are other names that are accepted with a warning.
	Aliases []string
	// Doc says in one sentence what the action does.
	Doc string
	// Phases are where it may stand.
	Phases []Phase
	// Schemes are the endpoints it is for; default http and https.
	Schemes []endpoint.Scheme
	// OnError is the default of its on_error; empty: it has none.
	OnError string
	// Protects says that it keeps somebody out, who gets in where its rule does
	// not match.
	Protects bool
	// Results are the variables that it sets, without "actions.ngrok.".
	Results []expr.Variable

	config reflect.Type // nil: the action is not built yet
	preset reflect.Value
	build  func(config any, b *Build) (Action, error)
}

// Define completes a definition with the action's configuration: preset holds
// the defaults, and build makes the action from a decoded copy of it. Faults of
// the configuration are reported with Build.Problem; build returns nil then.
//
// The configuration is a struct whose fields carry these tags, from which the
// decoder, the manual and the schema for editors are made:
//
//	field:"name"        the key; with ",required" it has to be there
//	alias:"a,b"         other keys, accepted with a warning
//	enum:"a,b"          the values of a text
//	range:"1,10"        bounds of a number or duration
//	count:"1,10"        bounds of the length of a list or of headers
//	length:"1,128"      bounds of the characters of a text
//	fault:"header"      the code for a ${…} that does not compile is that of
//	                    headers
//	expression:"…"      a text that the action compiles by Build.Condition
//	doc:"…"             what it means
//
// Fields have the types string, bool, int, float64, time.Duration,
// *expr.Template (a text with ${…}), *expr.Value (an expression), *Pattern,
// Fields, Tree, and structs and lists of these.
func Define[C any](d Definition, preset C, build func(c *C, b *Build) Action) Definition {
	if len(d.Schemes) == 0 {
		d.Schemes = []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS}
	}
	d.config, d.preset = reflect.TypeFor[C](), reflect.ValueOf(preset)
	d.build = func(config any, b *Build) (Action, error) {
		a := build(config.(*C), b) //nolint:forcetypeassert // made for it
		if a == nil || b.failed {
			return nil, errReported
		}
		return a, nil
	}
	return d
}

// NotBuilt completes the definition of an action that documents may name and
// that does not work yet (decision 40).
func NotBuilt(d Definition) Definition {
	if len(d.Schemes) == 0 {
		d.Schemes = []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS}
	}
	return d
}

// Built reports whether the action works.
func (d *Definition) Built() bool { return d.config != nil }

// In reports whether the action may stand in a phase.
func (d *Definition) In(p Phase) bool { return slices.Contains(d.Phases, p) }

// Build is what a definition's build function has besides the configuration.
type Build struct {
	// Phase and Scheme are where the action stands; Scheme is empty when a
	// document is checked for no endpoint in particular.
	Phase  Phase
	Scheme endpoint.Scheme
	// OnError is the action's on_error, empty if it has none.
	OnError string
	// Name is the rule's name, and Path where the action stands.
	Name, Path string

	c      *compilation
	at     *node // of config, or of type
	failed bool
	// aliases are other names that the document uses, and what they stand for.
	aliases map[string]string
}

// Problem reports a fault of the configuration. The field is relative to
// config, such as headers.x or credentials[1]; empty means the whole.
func (b *Build) Problem(field string, code fault.Code, format string, args ...any) {
	b.failed = true
	at, _ := b.find(field)
	b.c.problem(at, b.path(field), code, format, args...)
}

// NameProblem is as Problem, but it is the field's name that is wrong.
func (b *Build) NameProblem(field string, code fault.Code, format string, args ...any) {
	b.failed = true
	_, at := b.find(field)
	b.c.problem(at, b.path(field), code, format, args...)
}

// IPPolicy notes that the field names an IP policy of the endpoint's account.
func (b *Build) IPPolicy(field, id string) {
	if !strings.HasPrefix(id, "ipp_") {
		b.Problem(field, fault.IPPolicyUnknown, "%q is no id of an IP policy; these begin with ipp_", id)
		return
	}
	at, _ := b.find(field)
	b.c.program.ipPolicies = append(b.c.program.ipPolicies, Reference{ID: id, at: Diagnostic{
		File: b.c.doc.file, Line: at.line, Column: at.column, Path: b.path(field), Code: fault.IPPolicyUnknown,
	}})
}

// Authority notes that the field names a certificate authority of the endpoint's account. To know none by the id is no
// mistake (decision 52).
func (b *Build) Authority(field, id string) {
	at, _ := b.find(field)
	b.c.program.authorities = append(b.c.program.authorities, Reference{ID: id, at: Diagnostic{
		File: b.c.doc.file, Line: at.line, Column: at.column, Path: b.path(field), Code: fault.PolicyValueInvalid, Warning: true,
	}})
}

// Nth returns how many actions of the policy have asked with the same identity
// before. State that outlives a policy is kept by identity, and two actions
// that look the same do not share it.
func (b *Build) Nth(identity string) int {
	if b.c.identities == nil {
		b.c.identities = make(map[string]int)
	}
	n := b.c.identities[identity]
	b.c.identities[identity]++
	return n
}

// Warn reports something that is accepted.
func (b *Build) Warn(field string, code fault.Code, format string, args ...any) {
	at, _ := b.find(field)
	b.c.warn(at, b.path(field), code, format, args...)
}

func (b *Build) path(field string) string {
	if field == "" {
		return b.Path
	}
	return b.Path + ".config." + field
}

// find returns the node at a field such as headers.x-a or replacements[0].from
// and its key, or the innermost ones on the way to it. Keys may hold dots and
// brackets.
func (b *Build) find(field string) (value, key *node) {
	value, key = b.at, b.at
	for rest, ok := field, field != ""; ok; ok = rest != "" {
		v, k, left := value.step(strings.TrimPrefix(rest, "."), b.aliases)
		if v == nil {
			break
		}
		value, key, rest = v, k, left
	}
	return value, key
}

// step returns the node to which the first part of a path leads, its key, and
// the rest of the path.
func (n *node) step(path string, aliases map[string]string) (value, key *node, rest string) {
	if n == nil {
		return nil, nil, ""
	}
	if inner, ok := strings.CutPrefix(path, "["); ok && n.kind != mapping {
		index, rest, _ := strings.Cut(inner, "]")
		switch i, err := strconv.Atoi(index); {
		case err != nil || i < 0 || n.kind == list && i >= len(n.items):
			return nil, nil, ""
		case n.kind != list: // it stands for a list of one
			return n, n, rest
		default:
			return n.items[i], n.items[i], rest
		}
	}
	longest := -1
	for i, k := range n.keys {
		name := k.text
		if alias := aliases[name]; alias != "" {
			name = alias
		}
		left, ok := strings.CutPrefix(path, name)
		if ok && len(name) > longest && (left == "" || left[0] == '.' || left[0] == '[') {
			value, key, rest, longest = n.items[i], k, left, len(name)
		}
	}
	return value, key, rest
}

// Registry holds the definitions of all actions. It does not change.
type Registry struct {
	all    []Definition
	byName map[string]*Definition
}

// NewRegistry returns a registry of these definitions, in the manual's order.
func NewRegistry(ds ...Definition) (*Registry, error) {
	r := &Registry{all: ds, byName: make(map[string]*Definition)}
	for i := range ds {
		for _, name := range append([]string{ds[i].Type}, ds[i].Aliases...) {
			if r.byName[name] != nil {
				return nil, fmt.Errorf("two actions are called %s", name)
			}
			r.byName[name] = &ds[i]
		}
	}
	return r, nil
}

// All returns the definitions. The caller must not change them.
func (r *Registry) All() []Definition { return r.all }

// Results returns the variables that the actions set, by their whole names.
func (r *Registry) Results() []expr.Variable {
	var all []expr.Variable
	for _, d := range r.all {
		for _, v := range d.Results {
			v.Name = resultPrefix + v.Name
			v.Live = true
			all = append(all, v)
		}
	}
	return all
}

// resultPrefix begins the names of all results.
const resultPrefix = "actions.ngrok."

// types returns the names of all actions.
func (r *Registry) types() []string {
	names := make([]string, len(r.all))
	for i, d := range r.all {
		names[i] = d.Type
	}
	return names
}
