package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/culvert-project/culvert/internal/netx"
)

// turns lets few TLS handshakes compute at a time, in the order in which their
// hellos came. When all agents come back at once, a thousand that share the
// processor would all take longer than agents wait, and the work would be
// thrown away.
type turns struct{ free *semaphore.Weighted }

func newTurns(n int) *turns { return &turns{free: semaphore.NewWeighted(int64(n))} }

// turnsAtOnce is how many handshakes compute at a time: one for each processor,
// and as many that may be about to write or be interrupted.
func turnsAtOnce() int { return 2 * runtime.GOMAXPROCS(0) }

var (
	errNoTurn   = errors.New("too many handshakes at once")
	errPeerGone = errors.New("the peer has gone")
)

// pace returns cfg with a wait for a turn before anything is computed for a
// hello. The handshake has to be on a pacedConn.
func (t *turns) pace(cfg *tls.Config) *tls.Config {
	paced := cfg.Clone()
	paced.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if err := hello.Conn.(*pacedConn).await(hello.Context(), t); err != nil {
			return nil, err
		}
		if cfg.GetConfigForClient == nil {
			return nil, nil // paced itself, by the rule of crypto/tls
		}
		return cfg.GetConfigForClient(hello)
	}
	return paced
}

// pacedConn is the connection below the TLS of an agent. It ends a turn of its
// handshake when our answer is about to be written: the peer may be slow to
// take it, and to reply.
type pacedConn struct {
	*netx.Batch
	turnBy time.Time // the latest time for a turn to begin
	once   sync.Once
	turn   *turns // nil before the turn
}

// await waits for a turn. The peer may have gone meanwhile, which leaves the
// turn to the next one.
func (c *pacedConn) await(ctx context.Context, t *turns) error {
	ctx, cancel := context.WithDeadline(ctx, c.turnBy)
	defer cancel()
	if t.free.Acquire(ctx, 1) != nil {
		return errNoTurn
	}
	c.turn = t
	if c.Gone() {
		c.endTurn()
		return errPeerGone
	}
	return nil
}

// endTurn gives the turn back if there is one under way.
func (c *pacedConn) endTurn() {
	if c.turn != nil {
		c.once.Do(func() { c.turn.free.Release(1) })
	}
}

// Read reads from the connection.
func (c *pacedConn) Read(p []byte) (int, error) {
	c.endTurn()
	return c.Batch.Read(p)
}

// Write writes to the connection.
func (c *pacedConn) Write(p []byte) (int, error) {
	c.endTurn()
	return c.Batch.Write(p)
}

// NetConn returns the batch.
func (c *pacedConn) NetConn() net.Conn { return c.Batch }
