package outbound_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/culvert-project/culvert/server/internal/outbound"
)

func TestT61_WhichAddressesMayBeAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr   string
		public bool
	}{
		{"8.8.8.8", true},
		{"2606:4700::1111", true},
		{"::ffff:8.8.8.8", true},
		{"127.0.0.1", false},
		{"127.9.9.9", false},
		{"::1", false},
		{"::", false},
		{"0.0.0.0", false},
		{"0.1.2.3", false},
		{"10.1.2.3", false},
		{"172.31.0.1", false},
		{"192.168.1.1", false},
		{"100.64.0.1", false},
		{"169.254.169.254", false},
		{"192.0.0.192", false},
		{"198.18.0.1", false},
		{"224.0.0.1", false},
		{"255.255.255.255", false},
		{"::ffff:169.254.169.254", false},
		{"::ffff:10.0.0.1", false},
		{"::10.0.0.1", false},
		{"64:ff9b::a9fe:a9fe", false},
		{"64:ff9b:1::1", false},
		{"2002:a9fe:a9fe::1", false},
		{"2001:0:1::1", false},
		{"fd00::1", false},
		{"fe80::1", false},
		{"fe80::1%eth0", false},
		{"fec0::1", false},
		{"ff02::1", false},
		{"fd00:ec2::254", false},
	} {
		a := netip.MustParseAddr(tt.addr)
		if got := (&outbound.Guard{Public: true}).Check(a) == nil; got != tt.public {
			t.Errorf("%s with the internet allowed: got %v, want %v", tt.addr, got, tt.public)
		}
		if err := (&outbound.Guard{}).Check(a); !errors.Is(err, outbound.ErrAddress) {
			t.Errorf("%s with nothing allowed: got %v", tt.addr, err)
		}
	}
	g := &outbound.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for addr, want := range map[string]bool{"10.9.9.9": true, "::ffff:10.0.0.1": true, "8.8.8.8": false, "127.0.0.1": false} {
		if got := g.Check(netip.MustParseAddr(addr)) == nil; got != want {
			t.Errorf("%s with 10.0.0.0/8 allowed: got %v, want %v", addr, got, want)
		}
	}
}

// dials keeps what was dialled, and connects to nothing.
type dials []string

var errDialled = errors.New("dialled")

func (d *dials) dial(_ context.Context, _, addr string) (net.Conn, error) {
	*d = append(*d, addr)
	return nil, errDialled
}

// TestT61_RebindingNames resolves a name to something else each time: what was
// judged is what is dialled.
func TestT61_RebindingNames(t *testing.T) {
	t.Parallel()
	var d dials
	answers := [][]string{{"93.184.215.14"}, {"127.0.0.1"}, {"169.254.169.254", "93.184.215.14"}, {"::ffff:127.0.0.1"}, nil}
	g := &outbound.Guard{Public: true, Dial: d.dial, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range answers[0] {
			all = append(all, netip.MustParseAddr(a))
		}
		answers = answers[1:]
		return all, nil
	}}
	for i, refused := range []bool{false, true, false, true, false} {
		_, err := g.DialContext(t.Context(), "tcp", "rebind.example:80")
		if err == nil || errors.Is(err, outbound.ErrAddress) != refused {
			t.Errorf("answer %d: got %v, want refused %v", i+1, err, refused)
		}
	}
	if want := (dials{"93.184.215.14:80", "93.184.215.14:80"}); !slices.Equal(d, want) {
		t.Errorf("dialled %v, want %v", d, want)
	}
}

func TestT61_OddSpellings(t *testing.T) {
	t.Parallel()
	var d dials
	g := &outbound.Guard{Public: true, Dial: d.dial, Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		return nil, errors.New("there is no " + host)
	}}
	for _, address := range []string{"2130706433:80", "0x7f000001:80", "017700000001:80", "127.0.0.1:80", "[::1]:80", "[::ffff:7f00:1]:80", "127.1:80", "localhost:80", "nonsense"} {
		if _, err := g.DialContext(t.Context(), "tcp", address); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if len(d) > 0 {
		t.Errorf("dialled %v", d)
	}
}

func TestT61_NoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	tr := (&outbound.Guard{Public: true}).Transport()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.0.0.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if _, err := tr.RoundTrip(req); !errors.Is(err, outbound.ErrAddress) { //nolint:bodyclose // there is none
		t.Errorf("got %v, want %v", err, outbound.ErrAddress)
	}
}
