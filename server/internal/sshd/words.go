package sshd

import (
	"errors"
	"strings"
)

// maxWords bounds the words of a command.
const maxWords = 256

// words splits a command as a shell does: at spaces outside of quotes, with \ for the next character. Nothing is
// expanded.
func words(text string) ([]string, error) {
	var list []string
	var word strings.Builder
	in, quote := false, rune(0) // within a word, within quotes
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case r == '\\' && quote != '\'':
			in, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			in, quote = true, r
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if in {
				list = append(list, word.String())
				word.Reset()
				in = false
			}
		default:
			in = true
			word.WriteRune(r)
		}
		if len(list) > maxWords {
			return nil, errors.New("it has too many words")
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		list = append(list, word.String())
	}
	return list, nil
}
