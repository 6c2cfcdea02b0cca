package claims

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// someNames makes names that stand above and beside each other, wildcards and long ones among them.
func someNames(r *rand.Rand, n int) []string {
	names := make([]string, n)
	for i := range names {
		labels := make([]string, 1+r.IntN(hostDepth+3))
		for j := range labels {
			labels[j] = string(rune('a' + r.IntN(2)))
		}
		names[i] = strings.Join(append(labels, "org"), ".")
		if r.IntN(4) == 0 {
			names[i] = "*." + names[i]
		}
	}
	return names
}

// What the tree finds below a name is what a walk over all places finds, also after some have gone.
func TestHostTree(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var tree hostTree
	all := map[place]bool{}
	for i, name := range someNames(r, 400) {
		p := place{host: name, port: uint16(80 + i%2)}
		if !all[p] {
			all[p] = true
			tree.add(p)
		}
	}
	compare := func() {
		t.Helper()
		for _, name := range append(someNames(r, 200), "org", "a.org", "*.org", "net") {
			want := 0
			for p := range all {
				if Covers(name, p.host) {
					want++
				}
			}
			got := slices.Collect(tree.below(name))
			if wrong := slices.IndexFunc(got, func(p place) bool { return !all[p] || !Covers(name, p.host) }); wrong >= 0 || len(got) != want {
				t.Errorf("below %s: got %v, want %d places", name, got, want)
			}
		}
	}
	compare()
	for p := range all {
		if r.IntN(2) == 0 {
			delete(all, p)
			tree.remove(p)
		}
	}
	compare()
	for p := range all {
		tree.remove(p)
	}
	if len(tree.nodes)+len(tree.places) > 0 {
		t.Errorf("an empty tree holds %v", tree)
	}
}
