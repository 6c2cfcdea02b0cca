package agent

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/culvert-project/culvert/internal/agent/config"
)

// localDialer is a dialer that knows what localhost is: names below it mean this
// machine (RFC 6761, section 6.3), which not every resolver knows.
type localDialer struct{ *net.Dialer }

// Dial is DialContext without a context.
func (d localDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to address, of which the name may be below localhost.
func (d localDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost") {
		address = net.JoinHostPort("localhost", port)
	}
	return d.Dialer.DialContext(ctx, network, address)
}

// newDialer returns what opens connections to the server, or to the proxy.
func newDialer(s *config.Settings) *net.Dialer {
	d := &net.Dialer{Timeout: s.ConnectTimeout, KeepAlive: s.KeepAlive}
	if s.Interface != "" {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			if err := bindToInterface(c, s.Interface); err != nil {
				return fmt.Errorf("connect_interface %s: %w", s.Interface, err)
			}
			return nil
		}
	}
	if len(s.Resolvers) > 0 {
		d.Resolver = newResolver(s)
	}
	return d
}

// newResolver returns a resolver that asks the configured name servers in
// turn, instead of the system's.
func newResolver(s *config.Settings) *net.Resolver {
	var next atomic.Uint32
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			n := int(next.Add(1)-1) % len(s.Resolvers)
			return new(net.Dialer).DialContext(ctx, network, s.Resolvers[n].String())
		},
	}
}
