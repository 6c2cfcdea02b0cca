package netx

import (
	"net"
	"net/netip"
)

// AddrPort returns a as a value, the zero one if it is no IP address and port.
// It is canonical, so that equal peers are equal values: not IPv4-mapped, and
// without a zone, which means nothing to others.
func AddrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	if t, ok := a.(*net.TCPAddr); ok {
		ap = t.AddrPort()
	} else {
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// Source returns what limits per source count a peer by: its address for IPv4,
// and the /64 for IPv6, because whoever has one address of it has them all. It
// is invalid, and no such limit applies, for loopback and for no address.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // cannot fail: bits fits the family
	return p
}
