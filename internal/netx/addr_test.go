package netx_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
)

func TestAddrPortIsCanonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, "192.0.2.1:1"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 2}, "[fe80::1]:2"},
		{&net.UnixAddr{Name: "[::ffff:192.0.2.1]:3"}, "192.0.2.1:3"},
		{&net.UnixAddr{Name: "/run/x"}, "invalid AddrPort"},
	} {
		if got := netx.AddrPort(tt.in).String(); got != tt.want {
			t.Errorf("AddrPort(%v) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"2001:db8::1":           "2001:db8::/64",
		"2001:db8::ffff:1%eth0": "2001:db8::/64",
		"2001:db8:0:1::1":       "2001:db8:0:1::/64",
		"127.0.0.1":             "invalid Prefix",
		"::1":                   "invalid Prefix",
		"::ffff:127.0.0.1":      "invalid Prefix",
	} {
		if got := netx.Source(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("Source(%s) = %s, want %s", in, got, want)
		}
	}
	if got := netx.Source(netip.Addr{}); got.IsValid() {
		t.Errorf("Source of no address = %v, want none", got)
	}
}
