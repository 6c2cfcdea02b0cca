package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Bounds of a connection (reliability-security.md 9).
const (
	dialTime      = 3 * time.Second
	handshakeTime = 5 * time.Second
	idleTime      = 30 * time.Second
	maxHead       = 64 << 10
	maxIdle       = 100
	maxPerHost    = 64
	// tries is how many addresses of a name are dialled.
	tries = 4
)

// ErrAddress means that an address is none to be asked.
var ErrAddress = errors.New("the address may not be asked")

// Guard says which addresses may be asked. The zero value allows none.
type Guard struct {
	// Public allows the addresses of the internet.
	Public bool
	// Allow are further addresses, private ones among them.
	Allow []netip.Prefix
	// Resolve finds the addresses of a name. Default: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial opens a connection to an address. Default: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is the base of the configuration for https. Default: the system's.
	TLS *tls.Config
}

// Open reports whether any address may be asked.
func (g *Guard) Open() bool { return g.Public || len(g.Allow) > 0 }

// Check returns an error that wraps ErrAddress if an address may not be asked.
func (g *Guard) Check(a netip.Addr) error {
	plain := a.Unmap()
	if plain.IsValid() && plain.Zone() == "" {
		for _, p := range g.Allow {
			if p.Contains(plain) {
				return nil
			}
		}
		if g.Public && IsPublic(plain) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrAddress, a)
}

// special are ranges inside those of the internet that are not for it (the
// registries of special-purpose addresses, RFC 6890), or that lead to other
// addresses: 6to4, Teredo.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// unicast6 are the addresses of IPv6 that are given out. NAT64, mapped,
// unique local and link-local ones lie outside of it.
var unicast6 = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// IsPublic reports whether an address is one of the internet.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Is6() && !unicast6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// DialContext connects to host:port: to the first address of the host that may
// be asked and answers. It fails with an error that wraps ErrAddress if none
// may.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	dial := g.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	err = fmt.Errorf("%s has no address", host)
	tried := 0
	for _, a := range addrs {
		if refused := g.Check(a); refused != nil {
			if tried == 0 {
				err = refused
			}
			continue
		}
		if tried++; tried > tries {
			break
		}
		var c net.Conn
		if c, err = dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if _, err := strconv.ParseUint(host, 0, 64); err == nil {
		return nil, fmt.Errorf("%w: %s is a number and no name", ErrAddress, host)
	}
	if g.Resolve != nil {
		return g.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Transport returns a transport whose connections the guard judges. It follows
// no redirects and asks for no compression.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext: g.DialContext, TLSClientConfig: g.TLS, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSHandshakeTimeout: handshakeTime, IdleConnTimeout: idleTime, MaxIdleConns: maxIdle, MaxIdleConnsPerHost: 4,
		MaxConnsPerHost: maxPerHost, MaxResponseHeaderBytes: maxHead, ExpectContinueTimeout: time.Second,
	}
}
