package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/wire"
)

const (
	// youth is how long after a bind its agent may not know of it yet: the
	// answer is on its way, or has not been looked at (agent-protocol.md 7).
	youth = time.Second
	// settle is how long a stream to a young endpoint is watched for the agent
	// hanging up at once, and settles how often before it is taken as it is.
	settle  = 10 * time.Millisecond
	settles = 5
	// retryPause is the pause before a stream that the agent hung up on is
	// opened again.
	retryPause = 25 * time.Millisecond
)

// Tunnel is one endpoint of one agent. It leads to the agent over every leg on
// which the endpoint is bound.
type Tunnel struct {
	srv     *Server
	group   *group
	agent   *wire.Agent // of the session that bound it first; does not change
	id      string      // unique on the server, kept across reconnects
	bindID  string      // unique in the group
	boundAt time.Time
	tokens  []string // resume tokens that prove that another leg means this one

	bound atomic.Pointer[wire.Bound]
	paths atomic.Pointer[[]*session] // changed under Server.mu
	next  atomic.Uint32
}

// ID returns the endpoint's id, which it keeps across reconnects.
func (t *Tunnel) ID() string { return t.id }

// Bound returns what was reserved for the endpoint. The caller must not change
// it.
func (t *Tunnel) Bound() *wire.Bound { return t.bound.Load() }

// Agent returns the session that bound the endpoint.
func (t *Tunnel) Agent() wire.Agent { return *t.agent }

// Region returns where its agent is connected.
func (t *Tunnel) Region() string { return t.srv.cfg.Region }

// BoundAt returns when the endpoint was bound.
func (t *Tunnel) BoundAt() time.Time { return t.boundAt }

// addPath adds a leg. Server.mu is held.
func (t *Tunnel) addPath(s *session) {
	var paths []*session
	if p := t.paths.Load(); p != nil {
		paths = *p
	}
	if !slices.Contains(paths, s) {
		paths = append(slices.Clone(paths), s)
	}
	t.paths.Store(&paths)
}

// removePath removes a leg and returns how many are left. Server.mu is held.
func (t *Tunnel) removePath(s *session) int {
	p := t.paths.Load()
	if p == nil {
		return 0
	}
	paths := slices.DeleteFunc(slices.Clone(*p), func(o *session) bool { return o == s })
	t.paths.Store(&paths)
	return len(paths)
}

func (t *Tunnel) hasPath(s *session) bool {
	p := t.paths.Load()
	return p != nil && slices.Contains(*p, s)
}

// Dial opens a stream to the agent for the public connection that h describes.
// Its first frame, with h in it, leaves with the first bytes written or when
// somebody reads. If the agent has as many streams as it can bear, Dial waits
// for a moment and then fails with fault.NoMember; if the agent is gone, with
// fault.AgentUnreachable; while the server drains, with fault.Draining.
func (t *Tunnel) Dial(ctx context.Context, h wire.ProxyHeader) (net.Conn, error) {
	if t.srv.draining.Load() {
		return nil, fault.New(fault.Draining)
	}
	h.Id = t.bindID
	p := t.paths.Load()
	if p == nil || len(*p) == 0 {
		return nil, fault.New(fault.AgentUnreachable, t.Bound().URL)
	}
	paths := *p
	at := 0
	if len(paths) > 1 {
		at = int(t.next.Add(1)) % len(paths)
	}
	var err error
	for i := range paths {
		var c net.Conn
		if c, err = t.dialPath(ctx, paths[(at+i)%len(paths)], h); err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if errors.Is(err, mux.ErrBusy) {
		return nil, fault.Wrap(err, fault.NoMember, t.Bound().URL)
	}
	return nil, fault.Wrap(err, fault.AgentUnreachable, t.Bound().URL)
}

// dialPath opens a stream on one leg. While the endpoint is young it makes sure
// that the agent knows the endpoint, and asks again if it does not.
func (t *Tunnel) dialPath(ctx context.Context, s *session, h wire.ProxyHeader) (net.Conn, error) {
	for {
		st, err := s.open(ctx, h)
		if err != nil {
			return nil, err
		}
		if time.Since(t.boundAt) > youth || s.agent.Family == wire.FamilyCulvert {
			return st, nil
		}
		c, known := settled(st)
		if known {
			return c, nil
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// open opens a stream, waiting a bounded time for the agent to have room for it.
func (s *session) open(ctx context.Context, h wire.ProxyHeader) (*mux.Stream, error) {
	head := h.AppendTo(make([]byte, 0, 192))
	st, err := s.mux.Open(s.srv.noWait, head) //nolint:contextcheck // the usual case needs no wait and no timer
	if !errors.Is(err, mux.ErrBusy) {
		return st, err
	}
	if s.waiting.Add(1) > int64(s.srv.limits.Load().Waiting) {
		s.waiting.Add(-1)
		return nil, mux.ErrBusy
	}
	defer s.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, s.srv.limits.Load().AckWait)
	defer cancel()
	return s.mux.Open(ctx, head)
}

// settled watches a new stream for a moment. It reports false, and closes the
// stream, if the agent hung up without a byte, which is what one does that does
// not know the endpoint.
func settled(st *mux.Stream) (net.Conn, bool) {
	var first [1]byte
	for range settles {
		acked := st.Acked()
		st.SetReadDeadline(time.Now().Add(settle))
		n, err := st.Read(first[:])
		st.SetReadDeadline(time.Time{})
		switch {
		case n > 0:
			return netx.Prefixed(st, first[:n]), true
		case errors.Is(err, os.ErrDeadlineExceeded) && !acked:
			continue
		case errors.Is(err, io.EOF):
			st.Close()
			return nil, false
		}
		break
	}
	return st, true
}
