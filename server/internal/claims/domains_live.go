package claims

import (
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Intend lets no other account begin an endpoint at or below a name, which may be a wildcard and which an account is
// about to reserve by an id. It is refused with fault.DomainShadows or fault.DomainOnline if another one has a name or
// an endpoint there already; then it has done nothing. An agent whose place this does not find yet is judged once more
// when it has it.
func (b *Binder) Intend(id, account, name string) error {
	if b.cfg.Names != nil && !b.cfg.Names.Intend(id, account, name) {
		return fault.New(fault.DomainShadows, name)
	}
	online := false
	b.below(name, func(c *claim) bool {
		online = c.account != account
		return !online
	})
	if online {
		b.Withdraw(id) // at once, so that nobody waits for it
		return fault.New(fault.DomainOnline, name)
	}
	return nil
}

// Withdraw ends what Intend has begun for a reservation that is not there.
func (b *Binder) Withdraw(id string) {
	if b.cfg.Names != nil {
		b.cfg.Names.Withdraw(id)
	}
}

// StoredBelow returns the URLs of an account's stored endpoints at or below a name.
func (b *Binder) StoredBelow(account, name string) []endpoint.URL {
	var urls []endpoint.URL
	b.below(name, func(c *claim) bool {
		if c.stored && c.account == account {
			urls = append(urls, c.url)
		}
		return true
	})
	return urls
}

// below calls f for each claim on a public name that the reservation of name covers, until f returns false.
func (b *Binder) below(name string, f func(*claim) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.hosts.below(name) {
		for _, c := range b.sites[p].members {
			if !f(c) {
				return
			}
		}
	}
}

// addSite notes a place that is taken from now on. b.mu is held.
func (b *Binder) addSite(p place, s *site) {
	b.sites[p] = s
	if p.account == "" && p.host != "" {
		b.hosts.add(p)
	}
}

// deleteSite frees a place. b.mu is held.
func (b *Binder) deleteSite(p place) {
	delete(b.sites, p)
	if p.account == "" && p.host != "" {
		b.hosts.remove(p)
	}
}
