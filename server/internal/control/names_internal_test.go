package control

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/culvert-project/culvert/server/internal/claims"
)

// What is counted below a name is what a walk over all names of others finds.
func TestHoldings(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	someNames := func(n int) []string {
		names := make([]string, n)
		for i := range names {
			names[i] = "org"
			for range 1 + r.IntN(10) {
				names[i] = string(rune('a'+r.IntN(2))) + "." + names[i]
			}
			if r.IntN(4) == 0 {
				names[i] = "*." + names[i]
			}
		}
		return names
	}
	h := newHoldings()
	names := map[string]string{}
	for i, name := range someNames(60) {
		if names[name] == "" {
			names[name] = fmt.Sprintf("ac_%d", i%3)
			h.add(names[name], name, 1)
		}
	}
	for _, name := range append(someNames(300), "org", "*.org", "net") {
		want := false
		for other, account := range names {
			want = want || account != "ac_1" && other != name && claims.Covers(name, other)
		}
		// The reservation of the very name is another matter, which its key tells.
		if account := names[name]; (account == "" || account == "ac_1") && h.others("ac_1", name) != want {
			t.Errorf("others below %s: got %v, want %v", name, !want, want)
		}
	}
	for name, account := range names {
		h.add(account, name, -1)
	}
	if len(h.all)+len(h.own) > 0 {
		t.Errorf("nothing is held any more, and %v, %v is left", h.all, h.own)
	}
}
