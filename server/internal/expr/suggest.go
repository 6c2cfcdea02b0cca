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
			return from, at + " is not known in this phase" + absent(at)
		}
	}
	isCall := strings.HasPrefix(strings.TrimLeft(source[min(to, len(source)):], " "), "(")
	if isCall {
		if message := called(full); message != "" {
			return from, message
		}
	}
	message := "there is no variable or function " + full
	// The last names may be members, or a method.
	for at := full; at != ""; at = at[:max(strings.LastIndexByte(at, '.'), 0)] {
		best := Nearest(at, func(yield func(string) bool) {
			for known, v := range e.variables {
				if v.In(s) && v.Alias == "" && !yield(known) {
					return
				}
			}
		})
		if best != "" && best != at {
			if isCall && at == full && strings.Contains(full, ".") {
				continue
			}
			return from, message + "; did you mean " + best + "?"
		}
	}
	if way := soleOf(full); way != "" {
		message += "; write " + way
	}
	return from, message
}

// soleOf returns how the only function is called whose name begins as full does,
// up to the dot.
func soleOf(full string) string {
	space, _, dotted := strings.Cut(full, ".")
	way := ""
	for _, f := range Functions() {
		if strings.HasPrefix(f.Name, space+".") && dotted {
			if way != "" {
				return ""
			}
			way = f.Signature
		}
	}
	return way
}

// absent says why a variable is not known.
func absent(name string) string {
	first, _, _ := strings.Cut(name, ".")
	switch first {
	case "res":
		return ": there is no response yet"
	case "req":
		return ": there is no request"
	case "attempts", "last_attempt":
		return ": it is for retry_condition"
	}
	return ""
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
