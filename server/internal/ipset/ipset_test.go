package ipset_test

import (
	"net/netip"
	"testing"

	"github.com/culvert-project/culvert/server/internal/ipset"
)

func set(ranges ...string) (s ipset.Set) {
	for _, r := range ranges {
		s.Add(ipset.Canonical(netip.MustParsePrefix(r)))
	}
	return s
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := set("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8::7/128", "::ffff:192.0.2.0/120")
	for address, want := range map[string]string{
		"10.1.2.3": "10.1.0.0/16", "10.2.0.1": "10.0.0.0/8", "192.0.2.9": "192.0.2.0/24", "8.8.8.8": "0.0.0.0/0",
		"2001:db8::7": "2001:db8::7/128", "2001:db8::8": "2001:db8::/32", "2001:db9::1": "", "::ffff:10.1.2.3": "10.1.0.0/16", "2001:db8::1%eth0": "2001:db8::/32",
	} {
		p, ok := s.Find(ipset.Client(netip.MustParseAddr(address)))
		got := ""
		if ok {
			got = p.String()
		}
		if got != want {
			t.Errorf("Find(%s) = %q, want %q", address, got, want)
		}
	}
	var none ipset.Set
	if p, ok := none.Find(netip.MustParseAddr("10.0.0.1")); ok {
		t.Errorf("the empty set holds 10.0.0.1 by %s", p)
	}
}

func TestAdmits(t *testing.T) {
	t.Parallel()
	office := &ipset.Rules{Allow: set("10.0.0.0/8", "2001:db8::/32"), Deny: set("10.1.0.0/16")}
	guests := &ipset.Rules{Allow: set("10.1.0.0/16", "192.0.2.0/24"), Deny: set("2001:db8:1::/48")}
	for _, tt := range []struct {
		address string
		rules   []*ipset.Rules
		want    bool
	}{
		{"10.2.0.1", nil, false},
		{"10.2.0.1", []*ipset.Rules{office}, true},
		{"10.1.0.1", []*ipset.Rules{office}, false},
		{"10.1.0.1", []*ipset.Rules{guests}, true},
		{"10.1.0.1", []*ipset.Rules{guests, office}, false}, // deny wins, whichever comes first
		{"192.0.2.1", []*ipset.Rules{office, guests}, true},
		{"2001:db8::1", []*ipset.Rules{office, guests}, true},
		{"2001:db8:1::1", []*ipset.Rules{office, guests}, false},
		{"::ffff:10.2.0.1", []*ipset.Rules{office}, true},
		{"10.2.0.1", []*ipset.Rules{{}}, false},
	} {
		if got := ipset.Admits(netip.MustParseAddr(tt.address), tt.rules...); got != tt.want {
			t.Errorf("Admits(%s, %d policies) = %t, want %t", tt.address, len(tt.rules), got, tt.want)
		}
	}
}
