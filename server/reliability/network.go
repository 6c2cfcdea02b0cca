package reliability

import (
	"context"
	"net"
)

// Network is where everything of a test listens and dials.
type Network interface {
	Listen(network, addr string) (net.Listener, error)
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Loopback is the [Network] of this machine's loopback. Every name leads there.
type Loopback struct{}

// Listen opens a socket.
func (Loopback) Listen(network, addr string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), network, addr)
}

// DialContext dials the port of addr on 127.0.0.1, whatever the host is called:
// names under .localhost do not resolve everywhere.
func (Loopback) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}
