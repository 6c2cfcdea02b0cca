//go:build !linux || !(amd64 || arm64)

package netx

import (
	"context"
	"net"
	"net/netip"
)

// Sockets returns l: nothing is cheaper here.
func Sockets(l net.Listener) net.Listener { return l }

// DialTCP connects to an address.
func DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}
