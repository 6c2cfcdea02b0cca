package policy

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// style is how a scalar is written.
type style uint8

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	literal // |
	folded  // >
)

func styleOf(s yaml.Style) style {
	switch {
	case s&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted
	case s&yaml.SingleQuotedStyle != 0:
		return singleQuoted
	case s&yaml.LiteralStyle != 0:
		return literal
	case s&yaml.FoldedStyle != 0:
		return folded
	}
	return plain
}

// source is the text of a document.
type source struct {
	text  []byte
	lines []string // filled when a place is asked for
}

// line returns a line, counted from 1, without its end.
func (s *source) line(n int) (string, bool) {
	if s.lines == nil {
		s.lines = strings.Split(string(s.text), "\n")
	}
	if n < 1 || n > len(s.lines) {
		return "", false
	}
	return strings.TrimSuffix(s.lines[n-1], "\r"), true
}

// at returns the line and column of a byte.
func (s *source) at(offset int) (line, column int) {
	before := s.text[:min(offset, len(s.text))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// place returns the line and column at which the byte at an offset of a
// scalar's text is written: quotes, escapes and line breaks of the notation are
// counted. If they cannot be followed it is where the scalar begins.
func (n *node) place(offset int) (line, column int) {
	if n.source == nil {
		return n.line, n.column
	}
	w := &walk{source: n.source, line: n.line}
	if !w.begin(n) {
		return n.line, n.column
	}
	for _, r := range n.text[:min(offset, len(n.text))] {
		if !w.step(n.style, r) {
			return n.line, n.column
		}
	}
	if n.style != literal {
		w.fold()
	}
	return w.line, w.column + 1
}

// walk follows a scalar through the text of its document.
type walk struct {
	source *source
	line   int
	rest   string // of the line
	column int    // runes before rest
	indent int    // of a literal
}

// begin goes to the first character of a scalar.
func (w *walk) begin(n *node) bool {
	if n.style == literal || n.style == folded {
		for w.next() && strings.TrimSpace(w.rest) == "" { //nolint:revive // goes to the first line that is not empty
		}
		w.indent = len(w.rest) - len(strings.TrimLeft(w.rest, " "))
		w.skip(w.indent)
		if n.style == literal { // its empty lines are in the text
			w.line -= strings.IndexFunc(n.text+"x", func(r rune) bool { return r != '\n' })
			return w.to(w.line)
		}
		return true
	}
	if !w.to(n.line) {
		return false
	}
	w.skip(n.column - 1)
	for strings.HasPrefix(w.rest, "&") || strings.HasPrefix(w.rest, "!") && n.style != plain { // an anchor, a tag
		word := strings.IndexAny(w.rest, " \t")
		if word < 0 {
			return false
		}
		w.skip(utf8.RuneCountInString(w.rest[:word]))
		w.skip(len(w.rest) - len(strings.TrimLeft(w.rest, " \t")))
	}
	if n.style != plain {
		w.skip(1) // the quote
	}
	return true
}

// to goes to the text of a line.
func (w *walk) to(line int) bool {
	text, ok := w.source.line(line)
	w.line, w.rest, w.column = line, text, 0
	if ok {
		w.skip(min(w.indent, len(text)-len(strings.TrimLeft(text, " "))))
	}
	return ok
}

func (w *walk) next() bool { return w.to(w.line + 1) }

// skip passes n characters.
func (w *walk) skip(n int) {
	for ; n > 0 && w.rest != ""; n-- {
		_, size := utf8.DecodeRuneInString(w.rest)
		w.rest = w.rest[size:]
		w.column++
	}
}

// fold goes over the end of a line, and the white space that begins the next.
func (w *walk) fold() bool {
	for strings.TrimSpace(w.rest) == "" {
		if !w.next() {
			return false
		}
		w.skip(len(w.rest) - len(strings.TrimLeft(w.rest, " \t")))
	}
	return true
}

// step passes what stands for a character of the text.
func (w *walk) step(s style, r rune) bool {
	switch {
	case s == literal:
		if r == '\n' {
			return w.next()
		}
		w.skip(1)
	case (r == ' ' || r == '\n') && strings.TrimSpace(w.rest) == "":
		w.fold() // the text may end here
	case r == '\n' && !strings.HasPrefix(w.rest, "\\"): // a line that was empty
	case s == singleQuoted && strings.HasPrefix(w.rest, "''"):
		w.skip(2)
	case s == doubleQuoted && strings.HasPrefix(w.rest, "\\"):
		w.skip(escape(w.rest))
	default:
		w.skip(1)
	}
	return true
}

// escape returns the length of the escape at the beginning of a text.
func escape(text string) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case 'x':
		return 4
	case 'U':
		return 10
	case 'u':
		if len(text) >= 12 && (text[2] == 'd' || text[2] == 'D') && text[3] >= '8' && text[6:8] == `\u` { // a pair
			return 12
		}
		return 6
	}
	return 2
}
