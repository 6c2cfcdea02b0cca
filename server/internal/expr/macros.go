package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// macros are the standard ones with has replaced, and functions that are other
// spellings of something else.
func (e *Env) macros() []cel.Macro {
	older := func(name, now string, args int) cel.Macro {
		return cel.ReceiverMacro(name, args, func(h parser.ExprHelper, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return h.NewMemberCall(now, target, args...), nil
		})
	}
	return []cel.Macro{
		cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro,
		cel.GlobalMacro("has", 1, e.has),
		index("getReqHeader", "req", "headers"), contains("hasReqHeader", "req", "headers"),
		index("getResHeader", "res", "headers"), contains("hasResHeader", "res", "headers"),
		index("getQueryParam", "req", "url", "query_params"), contains("hasQueryParam", "req", "url", "query_params"),
		cookie("getReqCookie", "req"), contains("hasReqCookie", "req", "cookies"),
		cookie("getResCookie", "res"), contains("hasResCookie", "res", "cookies"),
		older("includes", "contains", 1),
		// CEL gives the whole of a duration in milliseconds, the reference
		// the part below a second (traffic-policy.md 14, row 11).
		cel.ReceiverMacro("getMilliseconds", 0, func(h parser.ExprHelper, target ast.Expr, _ []ast.Expr) (ast.Expr, *common.Error) {
			return h.NewCall("@milliseconds", target), nil
		}),
		cel.ReceiverMacro("get", 2, secretsGet),
	}
}

// has expands to true for a documented name, which always exists, and else to
// a test of presence that works for indexes too (traffic-policy.md 9.8).
func (e *Env) has(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	switch arg := args[0]; arg.Kind() {
	case ast.SelectKind:
		if name, ok := dotted(arg); ok && e.variables[name] != nil {
			return h.NewLiteral(types.True), nil
		}
		s := arg.AsSelect()
		return h.NewCall("@has", s.Operand(), h.NewLiteral(types.String(s.FieldName()))), nil
	case ast.CallKind:
		if c := arg.AsCall(); c.FunctionName() == "_[_]" {
			return h.NewCall("@has", c.Args()[0], c.Args()[1]), nil
		}
	default:
	}
	return nil, h.NewError(args[0].ID(), "has() takes a field or an index: has(e.f), has(e['f'])")
}

// dotted returns the name that a chain of selections spells.
func dotted(x ast.Expr) (string, bool) {
	var parts []string
	for x.Kind() == ast.SelectKind {
		parts = append(parts, x.AsSelect().FieldName())
		x = x.AsSelect().Operand()
	}
	if x.Kind() != ast.IdentKind {
		return "", false
	}
	parts = append(parts, x.AsIdent())
	slices.Reverse(parts)
	return strings.Join(parts, "."), true
}

func name(h parser.ExprHelper, path []string) ast.Expr {
	x := h.NewIdent(path[0])
	for _, p := range path[1:] {
		x = h.NewSelect(x, p)
	}
	return x
}

// index is a function that is an index into a variable.
func index(function string, path ...string) cel.Macro {
	return cel.GlobalMacro(function, 1, func(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		return h.NewCall("_[_]", name(h, path), args[0]), nil
	})
}

// contains is a function that asks whether a variable has a key.
func contains(function string, path ...string) cel.Macro {
	return cel.GlobalMacro(function, 1, func(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		return h.NewCall("@in", args[0], name(h, path)), nil
	})
}

// cookie is a function that returns the first cookie of a name.
func cookie(function, of string) cel.Macro {
	return cel.GlobalMacro(function, 1, func(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		return h.NewCall("@cookie", name(h, []string{of, "cookies"}), args[0]), nil
	})
}

// secretsGet hands secrets.get the source of secrets; other calls of get stay.
func secretsGet(h parser.ExprHelper, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	if target.Kind() != ast.IdentKind || target.AsIdent() != "secrets" {
		return nil, nil
	}
	return h.NewCall(secretFunction, h.NewIdent(secretsVariable), args[0], args[1]), nil
}
