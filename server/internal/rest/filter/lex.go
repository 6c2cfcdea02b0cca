package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind int

const (
	isEnd    kind = iota
	isName        // obj, true, in, a field
	isText        // a text between quotes
	isNumber      // an integer or decimal number
	isSign        // an operator, bracket, dot or comma
)

// token is one word of a filter.
type token struct {
	kind kind
	// text is the word; the value of a text.
	text string
	// at is where it begins, in bytes.
	at int
}

// String returns the token as messages show it.
func (t token) String() string {
	switch t.kind {
	case isEnd:
		return "the end"
	case isText:
		return strconv.Quote(t.text)
	case isName, isNumber, isSign:
	}
	return t.text
}

// signs are the operators and brackets, longer ones first.
var signs = [...]string{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "-"}

// lex splits a filter into its words.
func lex(s string) ([]token, error) {
	var tokens []token
	for at := 0; ; {
		at += len(s[at:]) - len(strings.TrimLeft(s[at:], " \t\r\n"))
		if at == len(s) {
			return append(tokens, token{kind: isEnd, at: at}), nil
		}
		t, length, err := nextToken(s[at:])
		if err != nil {
			return nil, fmt.Errorf("%w, at character %d", err, at+1)
		}
		t.at = at
		tokens = append(tokens, t)
		at += length
	}
}

// nextToken returns the token that s begins with, and its length.
func nextToken(s string) (token, int, error) {
	switch c := s[0]; {
	case isLetter(c):
		n := span(s, func(c byte) bool { return isLetter(c) || isDigit(c) })
		return token{kind: isName, text: s[:n]}, n, nil
	case isDigit(c):
		n := span(s, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '.' })
		return token{kind: isNumber, text: s[:n]}, n, nil
	case c == '"' || c == '\'':
		value, n, err := unquote(s)
		return token{kind: isText, text: value}, n, err
	}
	for _, op := range signs {
		if strings.HasPrefix(s, op) {
			return token{kind: isSign, text: op}, len(op), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return token{}, 0, fmt.Errorf("%q means nothing here", r)
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// span returns how many bytes at the beginning of s are of a class.
func span(s string, class func(byte) bool) int {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return n
}

// unquote reads the text in quotes that s begins with, and returns its value and its length in s. The escapes
// are those of Go, which the Terraform provider writes.
func unquote(s string) (value string, length int, err error) {
	quote := s[0]
	var b strings.Builder
	for rest := s[1:]; rest != ""; {
		if rest[0] == quote {
			return b.String(), len(s) - len(rest) + 1, nil
		}
		if rest[0] == '\n' {
			break
		}
		r, multibyte, tail, err := unquoteChar(rest)
		if err != nil {
			return "", 0, err
		}
		if r < utf8.RuneSelf || !multibyte {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
		rest = tail
	}
	return "", 0, fmt.Errorf("a text has no closing %c", quote)
}

// unquoteChar is strconv.UnquoteChar with both quotes allowed, escaped and plain.
func unquoteChar(s string) (r rune, multibyte bool, tail string, err error) {
	if len(s) > 1 && s[0] == '\\' && (s[1] == '"' || s[1] == '\'') {
		return rune(s[1]), false, s[2:], nil
	}
	r, multibyte, tail, err = strconv.UnquoteChar(s, 0)
	if err != nil {
		return 0, false, "", fmt.Errorf("%q is no escape", s[:min(2, len(s))])
	}
	return r, multibyte, tail, nil
}
