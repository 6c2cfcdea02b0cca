package access

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/culvert-project/culvert/server/internal/ipset"
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
	c := ipset.Canonical(p)
	return c, c.Addr() != p.Addr().Unmap(), nil
}
