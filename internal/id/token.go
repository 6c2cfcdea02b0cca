package id

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of an authtoken's length: the least in characters, the most in bytes.
const (
	MinToken = 20
	MaxToken = 256
)

// TokenFlaw says what keeps text from being an authtoken, in a phrase that
// follows "The token is not usable: ". It is empty for text that may be one. An
// administrator may choose any text as a server's first token, so that only the
// length and characters that do not print are judged.
func TokenFlaw(text string) string {
	switch n := utf8.RuneCountInString(text); {
	case n < MinToken || len(text) > MaxToken:
		return fmt.Sprintf("it has %d characters, and a token has %d to %d", n, MinToken, MaxToken)
	case strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }):
		return "it holds a character that cannot be printed"
	}
	return ""
}
