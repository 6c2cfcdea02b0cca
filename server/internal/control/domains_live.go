package control

import (
	"github.com/culvert-project/culvert/internal/endpoint"
)

// Intend implements [Places]. An agent whose place this does not find yet is judged once more when it has it.
func (b *Binder) Intend(id, account, name string) (free bool) {
	if b.cfg.Names != nil {
		b.cfg.Names.Intend(id, account, name)
	}
	free = true
	b.below(name, func(c *claim) { free = free && c.account == account })
	return free
}

// Withdraw implements [Places].
func (b *Binder) Withdraw(id string) {
	if b.cfg.Names != nil {
		b.cfg.Names.Withdraw(id)
	}
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
