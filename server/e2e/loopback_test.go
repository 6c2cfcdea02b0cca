package e2e

import (
	"context"
	"net"
)

// loopback dials the port of addr on loopback, whatever the host is called:
// names under .localhost do not resolve everywhere.
func loopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}
