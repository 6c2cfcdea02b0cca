package claims

import (
	"maps"
	"slices"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// Chosen returns the public hosts of endpoints, held ones among them, that somebody has asked for by name: those that
// the server has chosen and those of TCP are left out. It looks at every place, and so is for once a minute.
func (b *Binder) Chosen() []string {
	hosts := map[string]bool{}
	b.mu.Lock()
	for at, s := range b.sites {
		if at.account != "" || at.host == "" || s.scheme == endpoint.HTTP {
			continue
		}
		if slices.ContainsFunc(s.members, func(c *claim) bool { return !c.random }) {
			hosts[at.host] = true
		}
	}
	b.mu.Unlock()
	return slices.Sorted(maps.Keys(hosts))
}

// ChosenChanged gets a value, without anybody waiting for it, when [Binder.Chosen] may have another answer.
func (b *Binder) ChosenChanged() <-chan struct{} { return b.chosen }

// choose notes that somebody has a place by name. b.mu is held.
func (b *Binder) choose(p place, scheme endpoint.Scheme) {
	if p.account != "" || p.host == "" || scheme == endpoint.HTTP {
		return
	}
	select {
	case b.chosen <- struct{}{}:
	default: // it has one
	}
}
