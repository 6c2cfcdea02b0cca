package tunnel

import (
	"net"
	"net/netip"
	"sync"
)

// admission counts connections that are not authenticated yet.
type admission struct {
	all, perSource int // limits

	mu      sync.Mutex
	pending int                  // guarded by mu
	sources map[netip.Prefix]int // guarded by mu
}

func newAdmission(l Limits) *admission {
	return &admission{all: l.Pending, perSource: l.PendingPerSource, sources: map[netip.Prefix]int{}}
}

// enter takes a place for a connection from addr. It returns nil if there is
// none; else a function that gives the place back, to be called at least once.
func (a *admission) enter(addr netip.Addr) func() {
	src := source(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending >= a.all {
		return nil
	}
	if src.IsValid() {
		if a.sources[src] >= a.perSource {
			return nil
		}
		a.sources[src]++
	}
	a.pending++
	return sync.OnceFunc(func() { a.leave(src) })
}

func (a *admission) leave(src netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending--
	if !src.IsValid() {
		return
	}
	if a.sources[src]--; a.sources[src] <= 0 {
		delete(a.sources, src)
	}
}

// source is what limits per source count by: the address for IPv4, the /64 for
// IPv6. It is invalid, and no limit applies, for loopback and for addresses that
// are unknown.
func source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // cannot fail: bits fits the family
	return p
}

// addrPort returns a's IP address and port, the zero value if it has none.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
