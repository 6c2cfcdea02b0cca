package control

import (
	"github.com/culvert-project/culvert/internal/endpoint"
)

// HeldByOther implements [Places].
func (b *Binder) HeldByOther(account, name string) bool {
	found := false
	b.below(name, func(c *claim) { found = found || c.account != account })
	return found
}

// StoredBelow implements [Places].
func (b *Binder) StoredBelow(account, name string) []endpoint.URL {
	var urls []endpoint.URL
	b.below(name, func(c *claim) {
		if c.stored && c.account == account {
			urls = append(urls, c.url)
		}
	})
	return urls
}

// below calls f for each claim on a public name that the reservation of name covers.
func (b *Binder) below(name string, f func(*claim)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, s := range b.sites {
		if p.host == "" || p.account != "" || !covers(name, p.host) {
			continue
		}
		for _, c := range s.members {
			f(c)
		}
	}
}
