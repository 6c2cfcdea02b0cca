package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// errTooMuch ends a session that sends more than it may before it is
// authenticated.
var errTooMuch = errors.New("too many bytes before authentication")

// handshake ends TLS on conn, within ctx and until deadline. Its turn to compute
// has to come by turnBy.
func handshake(ctx context.Context, conn net.Conn, paced *tls.Config, turnBy, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	below := &pacedConn{Batch: netx.NewBatch(conn), turnBy: turnBy}
	defer below.endTurn()
	t := tls.Server(below, paced)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	dropBuffers(t)
	return t, nil
}

const (
	// largeRead is how much a read gives at least from a buffer worth dropping. A
	// heartbeat gives less.
	largeRead = 64
	// calm is how long no such read must have come for the buffer to be dropped,
	// which the next heartbeat gives the occasion for.
	calm = 5 * time.Second
)

// gate is a connection that gives a limited number of bytes until it is opened.
type gate struct {
	net.Conn
	opened atomic.Bool

	// Used by the one reader only.
	left  int64
	large time.Time // of the last read that made the buffers below large; zero: they are not
}

func newGate(c net.Conn, limit int64) *gate { return &gate{Conn: c, left: limit} }

// open lifts the limit.
func (g *gate) open() { g.opened.Store(true) }

// Read reads from the connection below, and fails once the limit is passed.
func (g *gate) Read(b []byte) (int, error) {
	if !g.large.IsZero() && time.Since(g.large) > calm {
		if t, ok := g.Conn.(*tls.Conn); ok {
			dropBuffers(t)
		}
		g.large = time.Time{}
	}
	n, err := g.Conn.Read(b)
	if n > largeRead {
		g.large = time.Now()
	}
	if g.opened.Load() {
		return n, err
	}
	if g.left -= int64(n); g.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// CloseWrite closes the sending half of the connection below.
func (g *gate) CloseWrite() error { return netx.CloseWrite(g.Conn) }

// NetConn returns the transport below TLS, or the connection itself where there
// is no TLS. Callers use it to close without a goodbye and to find the batch.
func (g *gate) NetConn() net.Conn {
	if t, ok := g.Conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return g.Conn
}

// ended is a context that has ended, if its channel is closed.
type ended chan struct{}

// Deadline reports that there is none.
func (ended) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns the channel.
func (e ended) Done() <-chan struct{} { return e }

// Err returns context.Canceled.
func (ended) Err() error { return context.Canceled }

// Value returns nil.
func (ended) Value(any) any { return nil }
