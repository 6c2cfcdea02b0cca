package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"
)

// Part is a part of an expression and what it came to.
type Part struct {
	// Source is the part as text, normalised.
	Source string
	// Value is its text form, or "error: …".
	Value string
}

// Explain evaluates an expression again and returns the variables, calls and
// indexes in it with their values, inner ones first; parts that were not
// reached are left out. It is for people, and slow.
func (e *Env) Explain(source string, s Scope, f *Frame) ([]Part, error) {
	checked, issues := e.lenient[s].Compile(source)
	if issues.Err() != nil {
		return nil, fmt.Errorf("compile: %w", issues.Err())
	}
	prg, err := e.lenient[s].Program(checked, cel.EvalOptions(cel.OptTrackState), cel.CostLimit(e.costLimit))
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	_, details, _ := prg.Eval(f) // what failed has its state too
	native := checked.NativeRep()
	var parts []Part
	seen := make(map[string]bool)
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.LiteralKind, ast.ListKind, ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
			return
		default:
		}
		v, ok := details.State().Value(x.ID())
		if !ok || v == nil {
			return
		}
		text, err := parser.Unparse(x, native.SourceInfo())
		if err != nil || seen[text] {
			return
		}
		seen[text] = true
		p := Part{Source: text}
		if p.Value, err = textForm(v); err != nil {
			p.Value = "error: " + err.Error()
		}
		parts = append(parts, p)
	}))
	return parts, nil
}
