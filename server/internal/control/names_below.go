package control

import (
	"iter"
	"strings"
)

// holdings counts the names that accounts have below other names.
type holdings struct {
	all map[string]int  // by the name above
	own map[holding]int // the part of one account in it
}

type holding struct{ name, account string }

func newHoldings() holdings { return holdings{all: map[string]int{}, own: map[holding]int{}} }

// add counts a name of an account n times more.
func (h holdings) add(account, name string, n int) {
	for up := range parents(name) {
		if h.all[up] += n; h.all[up] == 0 {
			delete(h.all, up)
		}
		own := holding{up, account}
		if h.own[own] += n; h.own[own] == 0 {
			delete(h.own, own)
		}
	}
}

// others reports whether the reservation of a name would cover one that another account has, besides itself.
func (h holdings) others(account, name string) bool {
	name = strings.TrimPrefix(name, "*.")
	return h.all[name] > h.own[holding{name, account}]
}

// parents yields the names above a name, which may be a wildcard.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, up, ok := strings.Cut(name, ".")
			if !ok || !yield(up) {
				return
			}
			name = up
		}
	}
}
