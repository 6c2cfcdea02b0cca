package expr

import (
	"iter"
	"strings"
)

// unknown explains a name that is not declared: what it might have been meant
// to be, and where it would be known. It returns where the name begins in the
// source; offset is any place in it.
func (e *Env) unknown(name, source string, offset int, s Scope) (int, string) {
	from := min(offset, len(source))
	for from > 0 && (isWord(source[from-1]) || source[from-1] == '.') {
		from--
	}
	to := from
	for to < len(source) && (isWord(source[to]) || source[to] == '.') {
		to++
	}
	full := strings.TrimRight(source[from:to], ".")
	if !strings.HasPrefix(full, name) {
		from, full = offset, name // of a macro's making
	}
	for at := full; at != ""; at = at[:max(strings.LastIndexByte(at, '.'), 0)] {
		if v := e.variables[at]; v != nil && !v.In(s) {
			return from, at + " is not known in this phase"
		}
	}
	message := "there is no variable or function " + full
	best := Nearest(full, func(yield func(string) bool) {
		for known, v := range e.variables {
			if v.In(s) && v.Alias == "" && !yield(known) {
				return
			}
		}
	})
	if best != "" {
		message += "; did you mean " + best + "?"
	}
	return from, message
}

// Nearest returns which of the names got is most likely a misspelling of, ""
// if none is near. Of equally near ones it is the first in the alphabet.
func Nearest(got string, names iter.Seq[string]) string {
	best, distance := "", len(got)/3+2
	for n := range names {
		if d := edits(got, n, distance); d < distance || d == distance && best != "" && n < best {
			best, distance = n, d
		}
	}
	return best
}

// edits is the Levenshtein distance, at most limit+1.
func edits(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j]+1, row[j+1]+1)
			if a[i] == b[j] {
				next = min(next, diagonal)
			} else {
				next = min(next, diagonal+1)
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return min(row[len(b)], limit+1)
}
