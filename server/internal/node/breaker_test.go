package node_test

import (
	"context"
	"net"
	"sync"

	"github.com/culvert-project/culvert"
)

// breaker is a dialer whose connections can be cut as a network does.
type breaker struct {
	culvert.Dialer

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

func (b *breaker) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return nil, net.ErrClosed
	}
	c, err := b.Dialer.DialContext(ctx, network, addr)
	if err == nil {
		b.conns = append(b.conns, c)
	}
	return c, err
}

// cut ends all connections.
func (b *breaker) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

// forever ends all connections and lets no further one come up.
func (b *breaker) forever() {
	b.mu.Lock()
	b.dead = true
	b.mu.Unlock()
	b.cut()
}

// first ends the oldest connection.
func (b *breaker) first() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns[0].Close()
	b.conns = b.conns[1:]
}
