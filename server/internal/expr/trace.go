package expr

import (
	"fmt"
	"math"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	"cel.dev/cel-go/parser"
)

// Part is a part of an expression and what it came to.
type Part struct {
	// Source is the part as text, normalised.
	Source string `json:"expression"`
	// Value is its text form, "error: …", or "(secret)".
	Value string `json:"value"`
}

// Trace is as Eval, and returns besides the variables, calls and indexes of the
// expression with their values, inner ones first; parts that were not reached
// are left out. It is for people, and slow.
func (b *Bool) Trace(f *Frame) (held bool, parts []Part, err error) {
	env, err := b.env.lenient[b.scope].Extend(cel.EnableMacroCallTracking())
	if err != nil {
		return false, nil, fmt.Errorf("trace: %w", err)
	}
	checked, issues := env.Compile(b.source)
	if issues.Err() != nil {
		return false, nil, fmt.Errorf("trace: %w", issues.Err())
	}
	prg, err := env.Program(checked, cel.EvalOptions(cel.OptTrackState), cel.CostTracking(meter{}), cel.CostLimit(b.env.costLimit))
	if err != nil {
		return false, nil, fmt.Errorf("trace: %w", err)
	}
	traced := program{env: b.env, prg: prg}
	out, state, err := traced.evalState(f)
	native := checked.NativeRep()
	t := &tracer{state: state, info: native.SourceInfo(), seen: make(map[string]bool)}
	t.visit(native.Expr())
	if err != nil {
		return false, t.parts, err
	}
	held, err = truth(out)
	return held, t.parts, err
}

func truth(v ref.Val) (bool, error) {
	t, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression gave %s, not true or false", v.Type().TypeName())
	}
	return bool(t), nil
}

// tracer collects the parts of an expression.
type tracer struct {
	state interpreter.EvalState
	info  *ast.SourceInfo
	seen  map[string]bool
	parts []Part
}

// visit goes through an expression, inner parts first. What a macro repeats for
// each element of a list has no single value and is left out.
func (t *tracer) visit(x ast.Expr) {
	switch x.Kind() {
	case ast.CallKind:
		c := x.AsCall()
		if c.FunctionName() == secretFunction {
			t.add(x, "(secret)")
			return
		}
		if c.IsMemberFunction() {
			t.visit(c.Target())
		}
		for _, a := range c.Args() {
			t.visit(a)
		}
	case ast.SelectKind:
		t.visit(x.AsSelect().Operand())
	case ast.ComprehensionKind:
		t.visit(x.AsComprehension().IterRange())
	case ast.ListKind:
		for _, e := range x.AsList().Elements() {
			t.visit(e)
		}
		return
	case ast.MapKind:
		for _, e := range x.AsMap().Entries() {
			t.visit(e.AsMapEntry().Value())
		}
		return
	case ast.IdentKind:
	default:
		return
	}
	v, ok := t.state.Value(x.ID())
	if !ok || v == nil {
		return
	}
	text, err := textForm(v)
	if err != nil {
		text = "error: " + err.Error()
	}
	t.add(x, text)
}

func (t *tracer) add(x ast.Expr, value string) {
	source, err := parser.Unparse(x, t.info, parser.WrapOnColumn(math.MaxInt))
	if err != nil || t.seen[source] {
		return
	}
	t.seen[source] = true
	t.parts = append(t.parts, Part{Source: source, Value: value})
}
