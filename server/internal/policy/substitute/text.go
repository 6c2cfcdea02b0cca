package substitute

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// ErrTooLarge means that a result would be larger than allowed.
var ErrTooLarge = errors.New("the result is too large")

// maxMatch bounds the text of a match that is kept, in bytes.
const maxMatch = 1 << 10

// Text is the outcome of a replacement.
type Text struct {
	// Text is the result; the original if nothing matched.
	Text []byte
	// Matches are the first matched texts, at most as many as were asked for,
	// each at most 1 KiB of it.
	Matches []string
}

// Replace replaces all matches in a text. In to, $1 and $name stand for what a
// group has matched, the longest possible name being read, and $$ for a dollar
// sign; groups that do not exist are empty. Braces have no meaning. It fails
// with ErrTooLarge if the result would have more than limit bytes.
func Replace(re *regexp.Regexp, text []byte, to string, limit, matches int) (Text, error) {
	r := Text{Text: text}
	count, matched := 0, 0
	re.ReplaceAllFunc(text, func(m []byte) []byte {
		count++
		matched += len(m)
		if len(r.Matches) < matches {
			r.Matches = append(r.Matches, string(m[:min(len(m), maxMatch)]))
		}
		return nil
	})
	if count == 0 {
		return r, nil
	}
	to = strings.ReplaceAll(to, "${", "$${")
	references, literal := measure(to)
	// What the references add is known only afterwards: each adds what was
	// matched at most. A few times the limit are risked for that.
	least := len(text) - matched + count*literal
	if least > limit || references > 0 && least+references*matched > 4*limit {
		return r, ErrTooLarge
	}
	if r.Text = re.ReplaceAll(text, []byte(to)); len(r.Text) > limit {
		return r, ErrTooLarge
	}
	return r, nil
}

// measure counts the references in a replacement and its other bytes.
func measure(to string) (references, literal int) {
	for i := 0; i < len(to); i++ {
		if to[i] != '$' || i+1 == len(to) {
			literal++
			continue
		}
		if to[i+1] == '$' {
			literal++
			i++
			continue
		}
		if n := len(name(to[i+1:])); n > 0 {
			references++
			i += n
			continue
		}
		literal++
	}
	return references, literal
}

// name returns the longest name of a group at the beginning of a text.
func name(s string) string {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return s[:i]
		}
	}
	return s
}

// words replaces those $ words of a replacement that name no group of the
// pattern and that value knows.
func words(to string, re *regexp.Regexp, value func(word string) (string, bool)) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(to, '$')
		if i < 0 || i+1 == len(to) {
			b.WriteString(to)
			return b.String()
		}
		b.WriteString(to[:i])
		to = to[i+1:]
		if to[0] == '$' {
			b.WriteString("$$")
			to = to[1:]
			continue
		}
		n := name(to)
		to = to[len(n):]
		if _, err := strconv.Atoi(n); n != "" && err != nil && re.SubexpIndex(n) < 0 {
			if v, ok := value(n); ok {
				b.WriteString(strings.ReplaceAll(v, "$", "$$"))
				continue
			}
		}
		b.WriteString("$" + n)
	}
}
