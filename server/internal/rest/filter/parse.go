package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// Bounds of a filter (api.md 1.6).
const (
	maxLength      = 4 << 10
	maxComparisons = 32
	maxDepth       = 32
)

// test judges one object.
type test func(object any) bool

// Compile returns the test that a filter of a resource's list is. An answered object, or a pointer to one, goes
// in. The test is for one goroutine. now is the time that time.now means. Errors are [fault.FilterInvalid].
func Compile(filter string, r *api.Resource, now time.Time) (func(object any) bool, error) {
	t, err := compile(filter, r, now)
	if err != nil {
		return nil, fault.Wrap(err, fault.FilterInvalid, err)
	}
	return t, nil
}

func compile(filter string, r *api.Resource, now time.Time) (test, error) {
	if len(filter) > maxLength {
		return nil, fmt.Errorf("it has more than %d bytes", maxLength)
	}
	tokens, err := lex(filter)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, resource: r, now: now}
	t, err := p.or()
	if err == nil && p.next().kind != isEnd {
		err = p.unexpected("&&, || or the end")
	}
	return t, err
}

// parser reads the words of a filter from left to right.
type parser struct {
	tokens      []token
	resource    *api.Resource
	now         time.Time
	comparisons int
	depth       int
}

// next is the word to come; the last one is the end.
func (p *parser) next() token { return p.tokens[0] }

// take returns the next word and goes on behind it.
func (p *parser) take() token {
	t := p.tokens[0]
	if t.kind != isEnd {
		p.tokens = p.tokens[1:]
	}
	return t
}

// skip goes on behind a sign or name if it comes next.
func (p *parser) skip(word string) bool {
	t := p.next()
	if (t.kind == isSign || t.kind == isName) && t.text == word {
		p.take()
		return true
	}
	return false
}

// need is skip for what has to be there.
func (p *parser) need(word string) error {
	if !p.skip(word) {
		return p.unexpected(word)
	}
	return nil
}

func (p *parser) unexpected(want string) error {
	return fmt.Errorf("%s stands where %s was expected, at character %d", p.next(), want, p.next().at+1)
}

func (p *parser) or() (test, error) {
	left, err := p.and()
	for err == nil && p.skip("||") {
		var right test
		first := left
		right, err = p.and()
		left = func(o any) bool { return first(o) || right(o) }
	}
	return left, err
}

func (p *parser) and() (test, error) {
	left, err := p.not()
	for err == nil && p.skip("&&") {
		var right test
		first := left
		right, err = p.not()
		left = func(o any) bool { return first(o) && right(o) }
	}
	return left, err
}

func (p *parser) not() (t test, err error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch {
	case p.skip("!"):
		inner, err := p.not()
		return func(o any) bool { return !inner(o) }, err
	case p.skip("("):
		t, err = p.or()
		if err == nil {
			err = p.need(")")
		}
		return t, err
	}
	return p.comparison()
}

// comparison reads a comparison, or a field or call that is true or false by itself.
func (p *parser) comparison() (test, error) {
	if p.comparisons++; p.comparisons > maxComparisons {
		return nil, fmt.Errorf("it has more than %d comparisons", maxComparisons)
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch op := p.next(); {
	case left.test != nil:
		return left.test, nil
	case op.kind == isName && op.text == "in":
		p.take()
		return p.in(left)
	case op.kind == isSign && slices.Contains(comparators, op.text):
		p.take()
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		return compare(left, op.text, right)
	case left.field != nil && !left.size && left.field.class == flag:
		f := left.field
		return func(o any) bool { return f.of(o) == true }, nil
	case left.field == nil:
		if b, ok := left.value.(bool); ok {
			return func(any) bool { return b }, nil
		}
	}
	return nil, p.unexpected("a comparison such as ==")
}

// comparators are the operators between two operands.
var comparators = []string{"==", "!=", "<", "<=", ">", ">="}

// operand is one side of a comparison: a field, the size of one, a value, or a call that is a test.
type operand struct {
	field *field
	size  bool
	value any
	test  test
}

func (p *parser) operand() (operand, error) {
	t := p.next()
	switch {
	case t.kind == isText:
		return operand{value: p.take().text}, nil
	case t.kind == isNumber, t.kind == isSign && t.text == "-":
		return p.number()
	case t.kind == isSign && t.text == "[":
		list, err := p.list()
		if err == nil && len(list) > 0 {
			err = errors.New("a list stands behind in only")
		}
		return operand{value: []any{}}, err
	case t.kind != isName:
		return operand{}, p.unexpected("a field such as obj.id or a value")
	}
	p.take()
	switch t.text {
	case "true", "false":
		return operand{value: t.text == "true"}, nil
	case "null":
		return operand{}, nil
	case "obj":
		return p.field()
	case "size":
		if err := p.need("("); err != nil {
			return operand{}, err
		}
		if err := p.need("obj"); err != nil {
			return operand{}, err
		}
		f, err := p.path()
		if err == nil && f.class != word && f.class != list {
			err = fmt.Errorf("%s has no size", f)
		}
		if err == nil {
			err = p.need(")")
		}
		return operand{field: f, size: true}, err
	case "timestamp":
		at, err := p.timestamp()
		return operand{value: at}, err
	}
	return operand{}, fmt.Errorf("%s is unknown at character %d: a field is written obj.%s", t, t.at+1, t.text)
}

func (p *parser) number() (operand, error) {
	minus := p.skip("-")
	t := p.next()
	n, err := strconv.ParseFloat(t.text, 64)
	if t.kind != isNumber || err != nil || strings.ContainsAny(t.text, "xXpP_") {
		return operand{}, p.unexpected("a number")
	}
	p.take()
	if minus {
		n = -n
	}
	return operand{value: n}, nil
}

// list reads values between brackets.
func (p *parser) list() ([]any, error) {
	if err := p.need("["); err != nil {
		return nil, err
	}
	values := []any{}
	for !p.skip("]") {
		if len(values) > 0 {
			if err := p.need(","); err != nil {
				return nil, err
			}
		}
		if p.next().text == "[" && p.next().kind == isSign {
			return nil, p.unexpected("a value")
		}
		v, err := p.operand()
		switch {
		case err != nil:
			return nil, err
		case v.field != nil || v.test != nil:
			return nil, errors.New("a list holds values, no fields")
		}
		values = append(values, v.value)
	}
	return values, nil
}

// field reads what follows obj: a field, perhaps with a call.
func (p *parser) field() (operand, error) {
	f, err := p.path()
	if err != nil || !p.skip("(") {
		return operand{field: f}, err
	}
	// The last name was that of a call.
	t := p.next()
	if t.kind != isText {
		return operand{}, p.unexpected("a text")
	}
	p.take()
	if err := p.need(")"); err != nil {
		return operand{}, err
	}
	call, err := f.calls(t.text)
	return operand{test: call}, err
}

// path reads the names behind obj. A call's name stays with the field.
func (p *parser) path() (*field, error) {
	var names []string
	for p.skip(".") {
		if p.next().kind != isName {
			return nil, p.unexpected("the name of a field")
		}
		names = append(names, p.take().text)
	}
	if len(names) == 0 {
		return nil, p.unexpected("a dot and the name of a field")
	}
	f := &field{}
	if next := p.next(); next.kind == isSign && next.text == "(" && len(names) > 1 {
		f.call, names = names[len(names)-1], names[:len(names)-1]
	}
	f.name = strings.Join(names, ".")
	return f, f.resolve(p.resource)
}

// timestamp reads what follows the name: a text or time.now between parentheses, perhaps with calls of add and
// subtract.
func (p *parser) timestamp() (at time.Time, err error) {
	if err := p.need("("); err != nil {
		return at, err
	}
	if t := p.next(); t.kind == isText {
		if at, err = instant(p.take().text); err != nil {
			return at, err
		}
	} else {
		for _, word := range []string{"time", ".", "now"} {
			if !p.skip(word) {
				return at, p.unexpected("a time such as \"2026-05-01T12:00:00Z\", or time.now")
			}
		}
		at = p.now
	}
	if err := p.need(")"); err != nil {
		return at, err
	}
	for p.skip(".") {
		call := p.next()
		if call.kind != isName || call.text != "add" && call.text != "subtract" {
			return at, p.unexpected("add or subtract")
		}
		p.take()
		if err := p.need("("); err != nil {
			return at, err
		}
		t := p.next()
		if t.kind != isText {
			return at, p.unexpected("a duration such as \"24h\"")
		}
		d, err := duration(p.take().text)
		if err != nil {
			return at, err
		}
		if call.text == "subtract" {
			d = -d
		}
		at = at.Add(d)
		if err := p.need(")"); err != nil {
			return at, err
		}
	}
	return at, nil
}

// instant reads a time in RFC 3339, or a date followed by Z.
func instant(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02Z", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-05-01T12:00:00Z", s)
}

// units are those of durations.
var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// maxDuration bounds a duration: a thousand years of it would not fit its type.
const maxDuration = 100 * 366 * 24 * time.Hour

// duration reads numbers with units: "24h", "1d12h".
func duration(s string) (sum time.Duration, err error) {
	for rest := s; rest != "" || s == ""; {
		n := span(rest, isDigit)
		if n == 0 || n > 10 || n == len(rest) || units[rest[n]] == 0 {
			return 0, fmt.Errorf("%q is no duration such as 24h; the units are s, m, h and d", s)
		}
		count, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil || time.Duration(count) > (maxDuration-sum)/units[rest[n]] {
			return 0, fmt.Errorf("the duration %q is too long", s)
		}
		sum += time.Duration(count) * units[rest[n]]
		rest = rest[n+1:]
	}
	return sum, nil
}
