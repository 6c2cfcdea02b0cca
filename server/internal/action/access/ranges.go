package access

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// parseRange reads an address or a range in CIDR notation. masked says that
// bits behind the prefix were set.
func parseRange(text string) (p netip.Prefix, masked bool, err error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, false, fmt.Errorf("%q is no IP address and no range in CIDR notation", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), false, nil
	}
	p, err = netip.ParsePrefix(text)
	if err != nil {
		return p, false, fmt.Errorf("%q is no range in CIDR notation, such as 10.0.0.0/8 or 2001:db8::/32", text)
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), p.Masked() != p, nil
}

// ranges is a set of address ranges. The zero value is empty.
type ranges struct {
	all map[netip.Prefix]bool
	// v4 and v6 are the lengths that occur, the longest first.
	v4, v6 []int
}

func (r *ranges) add(p netip.Prefix) {
	if r.all == nil {
		r.all = make(map[netip.Prefix]bool)
	}
	r.all[p] = true
	lengths := &r.v6
	if p.Addr().Is4() {
		lengths = &r.v4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
	}
}

// find returns the longest range that holds an address, which is not mapped.
func (r *ranges) find(a netip.Addr) (netip.Prefix, bool) {
	lengths := r.v6
	if a.Is4() {
		lengths = r.v4
	}
	for _, n := range lengths {
		if p, err := a.Prefix(n); err == nil && r.all[p] {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
