package strictyaml

import (
	"reflect"
	"strings"
)

// hint guesses which key was meant: the nearest one of the struct, else a key of exactly this name deeper
// down. It returns "" when nothing is near.
func hint(key string, t reflect.Type) string {
	best, bestAt := "", max(2, len(key)/3)+1
	if len(key) <= 3 {
		bestAt = 2
	}
	norm := normal(key)
	for _, f := range fields(t) {
		dist := distance(norm, normal(f.name))
		if dist < bestAt {
			best, bestAt = f.name, dist
		}
	}
	if best == "" {
		best = deeper(key, t, "", 0)
	}
	if best == "" {
		return ""
	}
	return `did you mean "` + best + `"?`
}

// deeper finds a key by its exact name in the structs below t.
func deeper(key string, t reflect.Type, path string, depth int) string {
	const levels = 3
	if depth > levels {
		return ""
	}
	for _, f := range fields(t) {
		at := join(path, f.name)
		if depth > 0 && f.name == key {
			return at
		}
		ft := f.typ
		for ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			if found := deeper(key, ft, at, depth+1); found != "" {
				return found
			}
		}
	}
	return ""
}

// normal makes spellings that differ only in case and separators equal.
func normal(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}

// distance is the edit distance of two short texts, a swap of neighbours counting once.
func distance(a, b string) int {
	const limit = 64
	if len(a) > limit || len(b) > limit {
		return limit
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
