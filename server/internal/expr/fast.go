package expr

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// fastTest is an expression, or a part of one, in Go: what most rules are made
// of, comparisons of texts joined by and, or and not. It gives up (ok is false)
// at everything that is not as usual, a failure included; CEL then evaluates the
// whole. What it does say is what CEL would.
type fastTest func(f *Frame) (value, ok bool)

// fastText is a part of an expression that is a text.
type fastText func(f *Frame) (value string, ok bool)

// fast translates expressions that the checker has been over.
type fast struct {
	ast *ast.AST
	env *Env
}

// test translates e, or returns nil if something in it is not known here.
func (c fast) test(e ast.Expr) fastTest {
	switch e.Kind() {
	case ast.LiteralKind:
		if v, ok := e.AsLiteral().(types.Bool); ok {
			return func(*Frame) (bool, bool) { return bool(v), true }
		}
	case ast.IdentKind:
		if name := e.AsIdent(); c.kind(name) == KindBool {
			return func(f *Frame) (bool, bool) {
				v, _ := f.ResolveName(name)
				b, ok := v.(types.Bool)
				return bool(b), ok
			}
		}
	case ast.CallKind:
		return c.call(e)
	default:
	}
	return nil
}

// call translates a call that gives a truth value.
func (c fast) call(e ast.Expr) fastTest {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		return c.join(args, call.FunctionName() == operators.LogicalOr)
	case operators.LogicalNot:
		if inner := c.test(args[0]); inner != nil {
			return func(f *Frame) (bool, bool) { v, ok := inner(f); return !v, ok }
		}
		return nil
	case operators.Equals:
		return c.compare(args[0], args[1], func(a, b string) bool { return a == b })
	case operators.NotEquals:
		return c.compare(args[0], args[1], func(a, b string) bool { return a != b })
	case operators.In:
		return c.in(args[0], args[1])
	}
	ref := c.ast.ReferenceMap()[e.ID()]
	if ref == nil || len(ref.OverloadIDs) != 1 || len(args) != 1 || !call.IsMemberFunction() {
		return nil
	}
	switch ref.OverloadIDs[0] {
	case overloads.StartsWithString:
		return c.compare(call.Target(), args[0], strings.HasPrefix)
	case overloads.EndsWithString:
		return c.compare(call.Target(), args[0], strings.HasSuffix)
	case overloads.ContainsString:
		return c.compare(call.Target(), args[0], strings.Contains)
	case overloads.MatchesString:
		return c.matches(call.Target(), args[0])
	}
	return nil
}

// join translates "and" or "or". The second part is not looked at if the first
// one decides.
func (c fast) join(args []ast.Expr, or bool) fastTest {
	parts := make([]fastTest, len(args))
	for i, arg := range args {
		if parts[i] = c.test(arg); parts[i] == nil {
			return nil
		}
	}
	return func(f *Frame) (bool, bool) {
		for _, part := range parts {
			if v, ok := part(f); !ok || v == or {
				return v, ok
			}
		}
		return !or, true
	}
}

// compare translates a question about two texts.
func (c fast) compare(x, y ast.Expr, holds func(a, b string) bool) fastTest {
	a, b := c.text(x), c.text(y)
	if a == nil || b == nil {
		return nil
	}
	return func(f *Frame) (bool, bool) {
		s, ok := a(f)
		if !ok {
			return false, false
		}
		t, ok := b(f)
		return ok && holds(s, t), ok
	}
}

// matches translates a match against a pattern that does not change.
func (c fast) matches(x, pattern ast.Expr) fastTest {
	a, p := c.text(x), constant(pattern)
	if a == nil || p == nil {
		return nil
	}
	re, err := regexp.Compile(string(*p))
	if err != nil {
		return nil
	}
	return func(f *Frame) (bool, bool) {
		s, ok := a(f)
		return ok && re.MatchString(s), ok
	}
}

// in translates a look into a list of constants, or into headers or
// parameters.
func (c fast) in(x, set ast.Expr) fastTest {
	switch set.Kind() {
	case ast.ListKind:
		a := c.text(x)
		var texts []string
		for _, e := range set.AsList().Elements() {
			s := constant(e)
			if s == nil {
				return nil
			}
			texts = append(texts, string(*s))
		}
		if a == nil || len(set.AsList().OptionalIndices()) > 0 {
			return nil
		}
		return func(f *Frame) (bool, bool) {
			s, ok := a(f)
			return ok && slices.Contains(texts, s), ok
		}
	case ast.IdentKind:
		name, key := set.AsIdent(), constant(x)
		if key == nil || !c.isMulti(name) {
			return nil
		}
		var k ref.Val = *key
		return func(f *Frame) (bool, bool) {
			m, ok := resolveMulti(f, name)
			if !ok {
				return false, false
			}
			_, there := m.lookup(k)
			return there, true
		}
	default:
	}
	return nil
}

// text translates a text: a constant, a variable, or one of the values of a
// header field or parameter.
func (c fast) text(e ast.Expr) fastText {
	if s := constant(e); s != nil {
		v := string(*s)
		return func(*Frame) (string, bool) { return v, true }
	}
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if c.kind(name) != KindText {
			return nil
		}
		return func(f *Frame) (string, bool) {
			v, _ := f.ResolveName(name)
			s, ok := v.(types.String)
			return string(s), ok
		}
	case ast.CallKind:
		return c.element(e.AsCall())
	default:
	}
	return nil
}

// element translates map['key'][0].
func (c fast) element(call ast.CallExpr) fastText {
	if call.FunctionName() != operators.Index || call.Args()[0].Kind() != ast.CallKind || call.Args()[1].Kind() != ast.LiteralKind {
		return nil
	}
	inner := call.Args()[0].AsCall()
	n, ok := call.Args()[1].AsLiteral().(types.Int)
	if !ok || n < 0 || inner.FunctionName() != operators.Index || inner.Args()[0].Kind() != ast.IdentKind {
		return nil
	}
	name, key := inner.Args()[0].AsIdent(), constant(inner.Args()[1])
	if key == nil || !c.isMulti(name) {
		return nil
	}
	var k ref.Val = *key
	return func(f *Frame) (string, bool) {
		m, ok := resolveMulti(f, name)
		if !ok {
			return "", false
		}
		values, _ := m.lookup(k)
		if int64(n) >= int64(len(values)) {
			return "", false
		}
		return values[n], true
	}
}

// constant returns the text of a literal, nil for anything else.
func constant(e ast.Expr) *types.String {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	s, ok := e.AsLiteral().(types.String)
	if !ok {
		return nil
	}
	return &s
}

// kind returns the kind of a variable; KindAny stands for unknown names too.
func (c fast) kind(name string) Kind {
	if v := c.env.variables[name]; v != nil {
		return v.Kind
	}
	return KindAny
}

func (c fast) isMulti(name string) bool {
	k := c.kind(name)
	return k == KindHeaderMap || k == KindParamMap
}

func resolveMulti(f *Frame, name string) (multi, bool) {
	v, _ := f.ResolveName(name)
	m, ok := v.(multi)
	return m, ok
}
