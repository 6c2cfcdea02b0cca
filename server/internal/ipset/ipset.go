package ipset

import (
	"net/netip"
	"slices"
)

// Set is a set of address ranges. The zero value is empty.
type Set struct {
	all map[netip.Prefix]bool
	// v4 and v6 are the lengths that occur, the longest first.
	v4, v6 []int
}

// Add adds a range, of which [Canonical] knows the form.
func (s *Set) Add(p netip.Prefix) {
	if s.all == nil {
		s.all = make(map[netip.Prefix]bool)
	}
	s.all[p] = true
	lengths := &s.v6
	if p.Addr().Is4() {
		lengths = &s.v4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
	}
}

// Find returns the longest range that holds an address in the form of [Client].
func (s *Set) Find(a netip.Addr) (netip.Prefix, bool) {
	lengths := s.v6
	if a.Is4() {
		lengths = s.v4
	}
	for _, n := range lengths {
		if p, err := a.Prefix(n); err == nil && s.all[p] {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// Canonical returns a range as sets hold it: without bits behind its prefix, and IPv4 where it is that in the
// clothes of IPv6.
func Canonical(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// Client returns an address as sets are asked for it.
func Client(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Rules are the rules of an IP policy.
type Rules struct {
	// Allow are the ranges that may come in, Deny those that may not although they are allowed.
	Allow, Deny Set
}

// Admits reports whether rules, taken together, let an address in: one of them allows it and none denies it
// (traffic-policy.md 11). No rules let nobody in.
func Admits(a netip.Addr, all ...*Rules) bool {
	a = Client(a)
	allowed := false
	for _, r := range all {
		if _, denied := r.Deny.Find(a); denied {
			return false
		}
		if !allowed {
			_, allowed = r.Allow.Find(a)
		}
	}
	return allowed
}
