package filter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// calls returns the test that a call with a text is.
func (f *field) calls(arg string) (test, error) {
	var does func(s, arg string) bool
	switch f.call {
	case "startsWith":
		does = strings.HasPrefix
	case "endsWith":
		does = strings.HasSuffix
	case "contains":
		does = strings.Contains
	default:
		return nil, fmt.Errorf("there is no %q; there are startsWith, endsWith and contains", f.call)
	}
	switch {
	case f.class == list:
		return nil, fmt.Errorf("%s is a list: write \"value\" in %s", f, f)
	case f.class != word:
		return nil, fmt.Errorf("%s is %s and has no %s", f, f.class, f.call)
	case f.entropic():
		return nil, fmt.Errorf("%s can be compared as a whole only, not by %s", f, f.call)
	}
	return func(o any) bool {
		s, ok := f.of(o).(string)
		return ok && does(s, arg)
	}, nil
}

// in reads what follows in and returns the test.
func (p *parser) in(left operand) (test, error) {
	if left.field == nil { // value in obj.list
		value, isWord := left.value.(string)
		if err := p.need("obj"); err != nil {
			return nil, err
		}
		f, err := p.path()
		switch {
		case err != nil:
			return nil, err
		case f.class != list:
			return nil, fmt.Errorf("%s is no list", f)
		case !isWord:
			return nil, fmt.Errorf("%s holds texts only", f)
		}
		return func(o any) bool {
			items, _ := f.of(o).([]string)
			return slices.Contains(items, value)
		}, nil
	}
	values, err := p.list()
	if err != nil {
		return nil, err
	}
	tests := make([]test, len(values))
	for i, v := range values {
		if tests[i], err = compare(left, "==", operand{value: v}); err != nil {
			return nil, err
		}
	}
	return func(o any) bool {
		return slices.ContainsFunc(tests, func(t test) bool { return t(o) })
	}, nil
}

// mirrored are the operators with their sides exchanged.
var mirrored = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

// compare returns the test of two operands.
func compare(left operand, op string, right operand) (test, error) {
	switch {
	case left.test != nil || right.test != nil:
		return nil, errors.New("the result of a call is not compared")
	case left.field != nil && right.field != nil:
		return nil, fmt.Errorf("%s and %s: two fields cannot be compared", left.field, right.field)
	case left.field == nil && right.field == nil:
		return nil, errors.New("two values are compared; one side has to be a field")
	case left.field == nil:
		return compare(right, mirrored[op], left)
	case left.size:
		return compareSize(left.field, op, right.value)
	}
	f, value := left.field, right.value
	empty, isList := value.([]any)
	switch equal := op == "==" || op == "!="; {
	case value == nil, isList && len(empty) == 0, value == "" && (f.class == list || equal):
		if !equal {
			return nil, fmt.Errorf("%s has no order with nothing", f)
		}
		return func(o any) bool { return isEmpty(f.of(o)) == (op == "==") }, nil
	case !equal && (f.class == flag || f.class == list):
		return nil, fmt.Errorf("%s is %s and has no order", f, f.class)
	}
	return f.compare(op, value)
}

// compare returns the test of a field and a value, which is not empty.
func (f *field) compare(op string, value any) (test, error) {
	switch want := value.(type) {
	case string:
		if f.class == moment { // a time without timestamp() is one, too
			at, err := instant(want)
			if err != nil {
				return nil, err
			}
			return f.compare(op, at)
		}
		if f.class == word {
			want := f.rendered(want)
			return func(o any) bool {
				s, _ := f.of(o).(string)
				return holds(op, strings.Compare(s, want))
			}, nil
		}
	case float64:
		if f.class == count {
			return func(o any) bool {
				n, ok := f.of(o).(float64)
				return ok && holds(op, cmp.Compare(n, want)) || !ok && op == "!="
			}, nil
		}
	case bool:
		if f.class == flag {
			return func(o any) bool { return (f.of(o) == want) == (op == "==") }, nil
		}
	case time.Time:
		if f.class == moment {
			return func(o any) bool {
				at, ok := f.of(o).(time.Time)
				return ok && holds(op, at.Compare(want)) || !ok && op == "!="
			}, nil
		}
	}
	return nil, fmt.Errorf("%s is %s and is compared with another kind of value", f, f.class)
}

// rendered returns a value as answers have it: endpoints of agents are called ephemeral there (api.md 2.1).
func (f *field) rendered(value string) string {
	if f.name == "type" && value == "agent" {
		return "ephemeral"
	}
	return value
}

// compareSize returns the test of a field's size and a number.
func compareSize(f *field, op string, value any) (test, error) {
	want, ok := value.(float64)
	if !ok {
		return nil, fmt.Errorf("the size of %s is compared with a number", f)
	}
	return func(o any) bool {
		n := 0
		switch v := f.of(o).(type) {
		case string:
			n = utf8.RuneCountInString(v)
		case []string:
			n = len(v)
		}
		return holds(op, cmp.Compare(float64(n), want))
	}, nil
}

// isEmpty reports whether a value is null, an empty text or an empty list: they are the same (api.md 1.6).
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

// holds reports whether a comparison with an outcome below, at or above 0 holds.
func holds(op string, outcome int) bool {
	switch op {
	case "==":
		return outcome == 0
	case "!=":
		return outcome != 0
	case "<":
		return outcome < 0
	case "<=":
		return outcome <= 0
	case ">":
		return outcome > 0
	}
	return outcome >= 0
}

// AnyOf returns the test whether a field of an object, as text, is one of some values.
func AnyOf(name string, values []string) func(object any) bool {
	f := &field{name: name}
	return func(o any) bool {
		s, _ := f.of(o).(string)
		return slices.Contains(values, s)
	}
}
