package expr

import (
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// Need is a part of an expression without which the expression fails: an
// element of a list, or what stands under a key.
type Need struct {
	// Source is the part as text, normalised.
	Source string
	// Offset is where it stands, in bytes from the start of the expression.
	Offset int

	keys []string // asking for one of these is asking for it
}

// Unasked returns the first part that one of the expressions needs and that
// none of them asks for, and which expression that is: for a request without
// it, the rule does not match (reliability-security.md T29). It judges by what
// is written, and takes a test anywhere in the rule for one.
func Unasked(rule []*Bool) (of int, n Need, found bool) {
	asked := make(map[string]bool)
	for _, b := range rule {
		for _, key := range b.asks {
			asked[key] = true
		}
	}
	for i, b := range rule {
	next:
		for _, n := range b.needs {
			for _, key := range n.keys {
				if asked[key] {
					continue next
				}
			}
			return i, n, true
		}
	}
	return 0, Need{}, false
}

// presence finds what an expression needs and what it asks for.
type presence struct {
	e     *Env
	ast   *ast.AST
	lines []string // of the source
	needs []Need
	asks  []string
}

func (e *Env) presence(source string, checked *cel.Ast) ([]Need, []string) {
	p := presence{e: e, ast: checked.NativeRep(), lines: strings.SplitAfter(source, "\n")}
	p.visit(p.ast.Expr())
	return p.needs, p.asks
}

func (p *presence) visit(x ast.Expr) {
	if p.variable(x) != nil {
		return // documented names always exist
	}
	switch x.Kind() {
	case ast.SelectKind:
		s := x.AsSelect()
		p.visit(s.Operand())
		p.need(x, s.Operand(), quote(s.FieldName()))
	case ast.CallKind:
		p.call(x, x.AsCall())
	case ast.ComprehensionKind:
		c := x.AsComprehension()
		p.visit(c.IterRange())
		p.visit(c.LoopStep())
	case ast.ListKind:
		for _, element := range x.AsList().Elements() {
			p.visit(element)
		}
	case ast.MapKind:
		for _, entry := range x.AsMap().Entries() {
			p.visit(entry.AsMapEntry().Value())
		}
	default:
	}
}

func (p *presence) call(x ast.Expr, c ast.CallExpr) {
	args := c.Args()
	switch c.FunctionName() {
	case "@has":
		p.ask(args[0], key(args[1]))
		return
	case "@in":
		p.ask(args[1], key(args[0]))
		return
	case "size":
		if c.IsMemberFunction() {
			p.ask(c.Target(), "#")
		} else {
			p.ask(args[0], "#")
		}
	case "_[_]":
		defer p.need(x, args[0], key(args[1]))
	}
	if c.IsMemberFunction() {
		p.visit(c.Target())
	}
	for _, a := range args {
		p.visit(a)
	}
}

// need notes x, which is what stands under key in container.
func (p *presence) need(x, container ast.Expr, key string) {
	switch container.Kind() {
	case ast.ListKind, ast.MapKind, ast.LiteralKind:
		return // who writes both sees it
	default:
	}
	if v := p.variable(container); v != nil && (v.Kind == KindHeaderMap || v.Kind == KindParamMap) {
		return // an absent name gives an empty list
	}
	if p.documented(container) && x.Kind() == ast.SelectKind {
		return // a member of a cookie
	}
	if c := container; c.Kind() == ast.CallKind && c.AsCall().FunctionName() == "split" && key == "0" {
		return // there is always a first part
	}
	whole := p.text(container)
	n := Need{Source: p.text(x), Offset: p.offset(x), keys: []string{whole + "[" + key + "]"}}
	if key == "" || key[0] != '"' {
		n.keys = append(n.keys, whole+"[#]", p.entry(container))
	}
	p.needs = append(p.needs, n)
}

func (p *presence) ask(container ast.Expr, key string) {
	p.asks = append(p.asks, p.text(container)+"["+key+"]")
}

// documented reports whether x is part of a variable whose elements have
// members that always exist.
func (p *presence) documented(x ast.Expr) bool {
	for {
		if v := p.variable(x); v != nil {
			return v.Name != "vars" && v.Kind != KindAny
		}
		switch {
		case x.Kind() == ast.SelectKind:
			x = x.AsSelect().Operand()
		case x.Kind() == ast.CallKind && len(x.AsCall().Args()) == 2:
			x = x.AsCall().Args()[0] // an index, or a cookie
		default:
			return false
		}
	}
}

// entry is how one asks for x itself, where x stands under a key.
func (p *presence) entry(x ast.Expr) string {
	switch x.Kind() {
	case ast.SelectKind:
		return p.text(x.AsSelect().Operand()) + "[" + quote(x.AsSelect().FieldName()) + "]"
	case ast.CallKind:
		if c := x.AsCall(); c.FunctionName() == "_[_]" {
			return p.text(c.Args()[0]) + "[" + key(c.Args()[1]) + "]"
		}
	default:
	}
	return p.text(x)
}

// variable returns the variable that x names, nil if it names none.
func (p *presence) variable(x ast.Expr) *Variable {
	if r := p.ast.ReferenceMap()[x.ID()]; r != nil {
		return p.e.variables[r.Name]
	}
	return nil
}

// text is x as text, in lower case since names of headers have none.
func (p *presence) text(x ast.Expr) string {
	s, err := parser.Unparse(x, p.ast.SourceInfo(), parser.WrapOnColumn(math.MaxInt))
	if err != nil {
		return fmt.Sprint("#", x.ID()) // nobody asks for that
	}
	return strings.ToLower(s)
}

func (p *presence) offset(x ast.Expr) int {
	at := p.ast.SourceInfo().GetStartLocation(x.ID())
	if at == nil || at.Line() < 1 || at.Line() > len(p.lines) {
		return 0
	}
	offset := 0
	for _, line := range p.lines[:at.Line()-1] {
		offset += len(line)
	}
	return offset + columnBytes(p.lines[at.Line()-1], at.Column())
}

// key is an index as text, "" if it is computed.
func key(x ast.Expr) string {
	if x.Kind() != ast.LiteralKind {
		return ""
	}
	if s, ok := x.AsLiteral().(types.String); ok {
		return quote(string(s))
	}
	return fmt.Sprint(x.AsLiteral().Value())
}

func quote(name string) string { return fmt.Sprintf("%q", strings.ToLower(name)) }
