package expr

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// outcome is what a fastTest comes to.
type outcome uint8

const (
	unsure outcome = iota // CEL has to evaluate the whole
	fails                 // CEL would give an error
	no
	yes // for parts that are no tests: there is a value
)

func truthOf(holds bool) outcome {
	if holds {
		return yes
	}
	return no
}

// fastTest is an expression, or a part of one, in Go: what most rules are made
// of, comparisons of texts and numbers joined by and, or and not. It is unsure
// about everything that is not as usual. What it does say is what CEL would.
type fastTest func(f *Frame) outcome

// Parts of an expression that are a text, a number or a list of texts.
type (
	fastText   func(f *Frame) (string, outcome)
	fastNumber func(f *Frame) (int64, outcome)
	fastList   func(f *Frame) ([]string, outcome)
)

// maxLocals is how deep macros such as exists may stand in each other.
const maxLocals = 2

// fast translates expressions that the checker has been over.
type fast struct {
	ast *ast.AST
	env *Env
	// locals are the variables of the macros around, the outermost first.
	locals []string
}

// test translates e, or returns nil if something in it is not known here.
func (c fast) test(e ast.Expr) fastTest {
	switch e.Kind() {
	case ast.LiteralKind:
		if v, ok := e.AsLiteral().(types.Bool); ok {
			return func(*Frame) outcome { return truthOf(bool(v)) }
		}
	case ast.IdentKind:
		if v := c.variable(e, KindBool); v != nil {
			return func(f *Frame) outcome {
				b, ok := f.resolve(v).(types.Bool)
				if !ok {
					return unsure
				}
				return truthOf(bool(b))
			}
		}
	case ast.CallKind:
		return c.call(e)
	case ast.ComprehensionKind:
		return c.quantifier(e.AsComprehension())
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
		return c.not(args[0])
	case operators.Equals:
		return c.compare(args, func(a, b string) bool { return a == b }, func(a, b int64) bool { return a == b })
	case operators.NotEquals:
		return c.compare(args, func(a, b string) bool { return a != b }, func(a, b int64) bool { return a != b })
	case operators.Less:
		return c.numbers(args, func(a, b int64) bool { return a < b })
	case operators.LessEquals:
		return c.numbers(args, func(a, b int64) bool { return a <= b })
	case operators.Greater:
		return c.numbers(args, func(a, b int64) bool { return a > b })
	case operators.GreaterEquals:
		return c.numbers(args, func(a, b int64) bool { return a >= b })
	case operators.In:
		return c.in(args[0], args[1])
	}
	ref := c.ast.ReferenceMap()[e.ID()]
	if ref == nil || len(ref.OverloadIDs) != 1 {
		return nil
	}
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	if len(args) != 2 {
		return nil
	}
	switch ref.OverloadIDs[0] {
	case overloads.StartsWithString:
		return c.texts(args, strings.HasPrefix)
	case overloads.EndsWithString:
		return c.texts(args, strings.HasSuffix)
	case overloads.ContainsString:
		return c.texts(args, strings.Contains)
	case overloads.MatchesString:
		return c.matches(args[0], args[1])
	case inCIDRRange, inCIDRRanges:
		return c.inRanges(args[0], args[1])
	}
	return nil
}

func (c fast) not(e ast.Expr) fastTest {
	inner := c.test(e)
	if inner == nil {
		return nil
	}
	return func(f *Frame) outcome {
		switch o := inner(f); o {
		case yes:
			return no
		case no:
			return yes
		default:
			return o
		}
	}
}

// join translates "and" or "or". What decides makes up for parts that fail,
// wherever they stand.
func (c fast) join(args []ast.Expr, or bool) fastTest {
	parts := make([]fastTest, len(args))
	for i, arg := range args {
		if parts[i] = c.test(arg); parts[i] == nil {
			return nil
		}
	}
	decides := truthOf(or)
	return func(f *Frame) outcome {
		all := truthOf(!or)
		for _, part := range parts {
			switch o := part(f); o {
			case decides, unsure:
				return o
			case fails:
				all = fails
			default:
			}
		}
		return all
	}
}

// quantifier translates exists and all over the values of a header field or
// parameter.
func (c fast) quantifier(q ast.ComprehensionExpr) fastTest {
	step := q.LoopStep()
	if q.HasIterVar2() || len(c.locals) == maxLocals || step.Kind() != ast.CallKind || q.AccuInit().Kind() != ast.LiteralKind {
		return nil
	}
	call, from := step.AsCall(), q.AccuInit().AsLiteral()
	or := call.FunctionName() == operators.LogicalOr
	switch {
	case !or && call.FunctionName() != operators.LogicalAnd, from != types.Bool(!or), len(call.Args()) != 2:
		return nil
	case !isIdent(call.Args()[0], q.AccuVar()), !isIdent(q.Result(), q.AccuVar()):
		return nil
	}
	list, at := c.list(q.IterRange()), len(c.locals)
	c.locals = append(slices.Clip(c.locals), q.IterVar())
	each := c.test(call.Args()[1])
	if list == nil || each == nil {
		return nil
	}
	decides := truthOf(or)
	return func(f *Frame) outcome {
		values, o := list(f)
		if o != yes {
			return o
		}
		all := truthOf(!or)
		for _, v := range values {
			f.locals[at] = v
			switch o := each(f); o {
			case decides, unsure:
				return o
			case fails:
				all = fails
			default:
			}
		}
		return all
	}
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// compare translates a question about two texts, or two numbers.
func (c fast) compare(args []ast.Expr, texts func(a, b string) bool, numbers func(a, b int64) bool) fastTest {
	if t := c.texts(args, texts); t != nil {
		return t
	}
	return c.numbers(args, numbers)
}

func (c fast) texts(args []ast.Expr, holds func(a, b string) bool) fastTest {
	a, b := c.text(args[0]), c.text(args[1])
	if a == nil || b == nil {
		return nil
	}
	return func(f *Frame) outcome {
		s, o := a(f)
		if o != yes {
			return o
		}
		t, o := b(f)
		if o != yes {
			return o
		}
		return truthOf(holds(s, t))
	}
}

func (c fast) numbers(args []ast.Expr, holds func(a, b int64) bool) fastTest {
	a, b := c.number(args[0]), c.number(args[1])
	if a == nil || b == nil {
		return nil
	}
	return func(f *Frame) outcome {
		n, o := a(f)
		if o != yes {
			return o
		}
		m, o := b(f)
		if o != yes {
			return o
		}
		return truthOf(holds(n, m))
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
	return about(a, re.MatchString)
}

// about is a test of a text.
func about(a fastText, holds func(string) bool) fastTest {
	return func(f *Frame) outcome {
		s, o := a(f)
		if o != yes {
			return o
		}
		return truthOf(holds(s))
	}
}

// inRanges translates a look into ranges of addresses that do not change.
func (c fast) inRanges(ip, ranges ast.Expr) fastTest {
	a, texts := c.text(ip), []string(nil)
	if s := constant(ranges); s != nil {
		texts = []string{string(*s)}
	} else if texts = constants(ranges); texts == nil {
		return nil
	}
	if a == nil {
		return nil
	}
	var all []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil { // others contain nothing
			all = append(all, p)
		}
	}
	return about(a, func(s string) bool {
		ip, err := netip.ParseAddr(s)
		ip = ip.Unmap().WithZone("")
		return err == nil && slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(ip) })
	})
}

// in translates a look into a list of constants, or into headers or
// parameters.
func (c fast) in(x, set ast.Expr) fastTest {
	if texts := constants(set); texts != nil {
		a := c.text(x)
		if a == nil {
			return nil
		}
		return about(a, func(s string) bool { return slices.Contains(texts, s) })
	}
	key, v := constant(x), c.multi(set)
	if key == nil || v == nil {
		return nil
	}
	look := lookup(v, string(*key))
	return func(f *Frame) outcome {
		_, there, o := look(f)
		if o != yes {
			return o
		}
		return truthOf(there)
	}
}

// text translates a text: a constant, a variable, or one of the values of a
// header field or parameter.
func (c fast) text(e ast.Expr) fastText {
	if s := constant(e); s != nil {
		v := string(*s)
		return func(*Frame) (string, outcome) { return v, yes }
	}
	switch e.Kind() {
	case ast.IdentKind:
		if at := slices.Index(c.locals, e.AsIdent()); at >= 0 {
			if slices.Contains(c.locals[at+1:], e.AsIdent()) {
				return nil
			}
			return func(f *Frame) (string, outcome) { return f.locals[at], yes }
		}
		v := c.variable(e, KindText)
		if v == nil {
			return nil
		}
		return func(f *Frame) (string, outcome) {
			s, ok := f.text(v)
			if !ok {
				return "", unsure
			}
			return s, yes
		}
	case ast.CallKind:
		return c.element(e.AsCall())
	default:
	}
	return nil
}

// number translates a constant or a variable.
func (c fast) number(e ast.Expr) fastNumber {
	if e.Kind() == ast.LiteralKind {
		if n, ok := e.AsLiteral().(types.Int); ok {
			return func(*Frame) (int64, outcome) { return int64(n), yes }
		}
		return nil
	}
	v := c.variable(e, KindInt)
	if v == nil {
		return nil
	}
	return func(f *Frame) (int64, outcome) {
		n, ok := f.resolve(v).(types.Int)
		if !ok {
			return 0, unsure
		}
		return int64(n), yes
	}
}

// element translates map['key'][0].
func (c fast) element(call ast.CallExpr) fastText {
	if call.FunctionName() != operators.Index || call.Args()[1].Kind() != ast.LiteralKind {
		return nil
	}
	list := c.list(call.Args()[0])
	n, ok := call.Args()[1].AsLiteral().(types.Int)
	if !ok || n < 0 || list == nil {
		return nil
	}
	return func(f *Frame) (string, outcome) {
		values, o := list(f)
		switch {
		case o != yes:
			return "", o
		case int64(n) >= int64(len(values)):
			return "", fails
		}
		return values[n], yes
	}
}

// list translates map['key'].
func (c fast) list(e ast.Expr) fastList {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return nil
	}
	args := e.AsCall().Args()
	v, key := c.multi(args[0]), constant(args[1])
	if v == nil || key == nil {
		return nil
	}
	look := lookup(v, string(*key))
	return func(f *Frame) ([]string, outcome) {
		values, _, o := look(f)
		return values, o
	}
}

// lookup returns what gives the values of a header field or parameter, and
// whether it is there.
func lookup(v *Variable, key string) func(f *Frame) (values []string, there bool, o outcome) {
	name := string(canonical(nil, key))
	return func(f *Frame) (values []string, there bool, o outcome) {
		switch m := f.resolve(v).(type) {
		case *Headers:
			values, there = m.field(name)
		case params:
			values, there = m[key]
		default:
			return nil, false, unsure
		}
		return values, there, yes
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

// constants returns the texts of a list of literals, nil for anything else.
func constants(e ast.Expr) []string {
	if e.Kind() != ast.ListKind || len(e.AsList().OptionalIndices()) > 0 {
		return nil
	}
	texts := []string{}
	for _, e := range e.AsList().Elements() {
		s := constant(e)
		if s == nil {
			return nil
		}
		texts = append(texts, string(*s))
	}
	return texts
}

// variable returns the variable that e names if it has one of some kinds.
func (c fast) variable(e ast.Expr, kinds ...Kind) *Variable {
	if e.Kind() != ast.IdentKind || slices.Contains(c.locals, e.AsIdent()) {
		return nil
	}
	v := c.env.variables[e.AsIdent()]
	if v == nil || !slices.Contains(kinds, v.Kind) {
		return nil
	}
	return v
}

// multi returns the headers or parameters that e names.
func (c fast) multi(e ast.Expr) *Variable { return c.variable(e, KindHeaderMap, KindParamMap) }
