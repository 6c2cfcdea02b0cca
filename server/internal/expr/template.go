package expr

import (
	"fmt"
	"strings"
)

// Template is a text with ${…} parts (traffic-policy.md 5). It is immutable.
type Template struct {
	source string
	parts  []part
	reads  []string

	patterns int
}

// Patterns returns the size of the regular expressions in its expressions, as PatternSize counts.
func (t *Template) Patterns() int { return t.patterns }

// part is a literal text or, if value is not nil, an expression.
type part struct {
	literal string
	value   *Value
}

// Template compiles a text. With a problem that is no warning it returns nil.
func (e *Env) Template(source string, s Scope) (*Template, []Problem) {
	t := &Template{source: source}
	var problems []Problem
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{literal: literal.String()})
			literal.Reset()
		}
	}
	failed := false
	for at := 0; at < len(source); {
		switch rest := source[at:]; {
		case strings.HasPrefix(rest, "$${"):
			literal.WriteString("${")
			at += len("$${")
		case strings.HasPrefix(rest, "${"):
			end := closing(source, at+len("${"))
			if end < 0 {
				return nil, append(problems, Problem{Offset: at, Message: "${ has no closing brace; write $${ for a literal ${"})
			}
			flush()
			inner := source[at+len("${") : end]
			v, found := e.Value(strings.TrimSpace(inner), s)
			shift := at + len("${") + len(inner) - len(strings.TrimLeft(inner, " \t\r\n"))
			for _, p := range found {
				p.Offset += shift
				problems = append(problems, p)
			}
			if v == nil {
				failed = true
			} else {
				t.parts = append(t.parts, part{value: v})
				t.reads = append(t.reads, v.Reads()...)
				t.patterns += v.Patterns()
			}
			if t.patterns > maxRegexProgram {
				return nil, append(problems, tooLarge(at))
			}
			at = end + 1
		default:
			literal.WriteByte(source[at])
			at++
		}
	}
	flush()
	if failed {
		return nil, problems
	}
	return t, problems
}

// String returns the text as it was written.
func (t *Template) String() string { return t.source }

// Reads returns the variables that its expressions name, in no order, possibly
// more than once.
func (t *Template) Reads() []string { return t.reads }

// Static returns the text of a template without expressions.
func (t *Template) Static() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].value == nil:
		return t.parts[0].literal, true
	}
	return "", false
}

// Parts calls visit for each literal text, and with dynamic set for each
// expression, in order.
func (t *Template) Parts(visit func(literal string, dynamic bool)) {
	for _, p := range t.parts {
		visit(p.literal, p.value != nil)
	}
}

// Text evaluates the template.
func (t *Template) Text(f *Frame) (string, error) {
	if s, ok := t.Static(); ok {
		return s, nil
	}
	if len(t.parts) == 1 {
		return t.parts[0].value.Text(f)
	}
	var b strings.Builder
	for _, p := range t.parts {
		s := p.literal
		if p.value != nil {
			var err error
			if s, err = p.value.Text(f); err != nil {
				return "", err
			}
		}
		if b.Len()+len(s) > maxText {
			return "", fmt.Errorf("the text is longer than %d bytes", maxText)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// Value evaluates the template; one that is exactly one expression gives that
// expression's value in its own type (see Value.Eval), others give a text.
func (t *Template) Value(f *Frame) (any, error) {
	if len(t.parts) == 1 && t.parts[0].value != nil {
		return t.parts[0].value.Eval(f)
	}
	return t.Text(f)
}

// closing finds the brace that ends an expression which begins at from: braces
// nest, and those in quotes and comments do not count. It returns -1 if there
// is none.
func closing(s string, from int) int {
	depth := 0
	for i := from; i < len(s); {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		default:
			if n := skip(s[i:], i > 0 && isRaw(s, i)); n > 0 {
				i += n
				continue
			}
		}
		i++
	}
	return -1
}

// isRaw reports whether a quote at i opens a raw string: r or R stands before
// it, perhaps with b, as a word of its own.
func isRaw(s string, i int) bool {
	j, raw := i, false
	for j > 0 && strings.IndexByte("rRbB", s[j-1]) >= 0 && i-j < 2 {
		j--
		raw = raw || s[j] == 'r' || s[j] == 'R'
	}
	return raw && (j == 0 || !isWord(s[j-1]))
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// skip returns the length of the string literal or comment at the start of s,
// 0 if there is none. What is not closed reaches to the end.
func skip(s string, raw bool) int {
	if strings.HasPrefix(s, "//") {
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n
		}
		return len(s)
	}
	if s[0] != '"' && s[0] != '\'' {
		return 0
	}
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		switch {
		case s[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		}
	}
	return len(s)
}

// quoted reports whether position at lies in a string literal or comment.
func quoted(s string, at int) bool {
	for i := 0; i <= at && i < len(s); {
		n := skip(s[i:], i > 0 && isRaw(s, i))
		if n > 0 && i+n > at && i < at {
			return true
		}
		i += max(n, 1)
	}
	return false
}
