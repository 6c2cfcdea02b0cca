package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// Bounds of what an agent may open on its own: requests and a heartbeat stream.
const (
	maxAgentStreams  = 1200
	maxAgentRequests = 1024
)

var (
	errAuthTimeout = errors.New("not authenticated in time")
	errRefused     = errors.New("authentication refused")
)

// phase is how far a session has come.
type phase int

const (
	fresh   phase = iota // nothing heard
	authing              // an Auth is being answered
	online               // authenticated
	refused              // told to go away
	gone                 // no timer may start any more
)

// session is one connection of an agent: a leg.
type session struct {
	srv  *Server
	mux  *mux.Session
	peer *wire.Peer
	gate *gate
	addr netip.AddrPort
	// ingress is the name that it came by, if that is one of an account's own.
	ingress string
	left    func()        // gives back the place among those not authenticated
	done    chan struct{} // closed when all that it held is given back

	ended bool // it holds nothing and takes nothing more; guarded by Server.mu

	waiting atomic.Int64   // connections that wait for room
	tasks   sync.WaitGroup // goroutines that end with the session

	mu    sync.Mutex
	phase phase // guarded by mu, as is all below
	timer *time.Timer

	// Set once by auth, before phase becomes online.
	agent   *wire.Agent // does not change
	version string
	leg     uint32
	group   *group
}

func newSession(ctx context.Context, srv *Server, conn net.Conn, addr netip.AddrPort, leave func()) *session {
	g := newGate(conn, srv.limits.Load().AuthBytes)
	s := &session{
		srv: srv, gate: g, addr: addr, left: leave,
		done: make(chan struct{}),
	}
	s.mux = mux.New(g, mux.Config{
		Role: mux.Server, MaxStreams: maxAgentStreams, MaxUnread: srv.limits.Load().Unread, Budget: srv.budget,
		Ended: func() { srv.end(ctx, s, s.mux.Err()) },
	})
	s.peer = wire.NewPeer(s.mux)
	srv.mu.Lock()
	srv.conns[s] = struct{}{}
	closed := srv.closed
	srv.mu.Unlock()
	if closed {
		s.mux.Close()
	}
	return s
}

// run serves the session until it ends. What it holds is given back as soon as
// it has ended, and so before it has wound down.
func (s *session) run(ctx context.Context, authBy time.Time) {
	s.setTimer(time.AfterFunc(time.Until(authBy), func() {
		s.mux.CloseWith(frame.EnhanceYourCalm, errAuthTimeout)
	}))
	handled := s.peer.Handle(wire.Handler{RPC: s.rpc, Allowed: s.allowed, MaxRequests: maxAgentRequests}) //nolint:contextcheck // its context is the session
	_ = s.mux.Run(ctx)                                                                                    // end has its cause
	handled()
	s.tasks.Wait()
	s.mu.Lock()
	s.phase = gone
	s.mu.Unlock()
	s.setTimer(nil)
	s.left()
	s.srv.mu.Lock()
	delete(s.srv.conns, s)
	s.srv.mu.Unlock()
}

// setTimer replaces the one timer of the session: first the limit of
// authentication, then the watch for silence.
func (s *session) setTimer(t *time.Timer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.phase == gone && t != nil {
		t.Stop()
		t = nil
	}
	s.timer = t
}

// allowed says which stream types the agent may open now. Before it is
// authenticated these are Auth and SrvInfo; heartbeats are always echoed.
func (s *session) allowed(t wire.ReqType) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == online || t == wire.TypeAuth || t == wire.TypeSrvInfo
}

// rpc answers one request of the agent.
func (s *session) rpc(ctx context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	switch t {
	case wire.TypeAuth:
		return s.auth(ctx, body)
	case wire.TypeSrvInfo:
		return wire.SrvInfoResp{Region: s.srv.cfg.Region}, nil
	case wire.TypeBind:
		return s.bind(ctx, body)
	case wire.TypeUnbind:
		return s.unbind(ctx, body)
	case wire.TypePatchTunnelState:
		return s.patch(ctx, body)
	case wire.TypeStartTunnelWithLabel:
		return nil, fault.New(fault.LabelsNotSupported)
	default: // what an agent does not ask of a server
		return nil, wire.ErrRefuseType
	}
}

// watchSilence ends the session when the agent has sent nothing for limit. It
// costs a timer, not a goroutine.
func (s *session) watchSilence(limit time.Duration) {
	var check func()
	check = func() {
		left := limit - time.Since(s.mux.LastReceived())
		if left <= 0 {
			s.mux.CloseWith(frame.PeerEOF, fault.New(fault.SessionSilent, limit))
			return
		}
		s.setTimer(time.AfterFunc(left, check))
	}
	s.setTimer(time.AfterFunc(limit, check))
}

// close ends the session from our side and waits, no longer than ctx, until it
// has given everything back.
func (s *session) close(ctx context.Context, code frame.ErrorCode, cause error) {
	s.mux.CloseWith(code, cause)
	select {
	case <-s.done:
	case <-ctx.Done():
	}
}

// leftCleanly reports whether the agent said goodbye of its own accord, rather
// than being lost.
func leftCleanly(err error) bool {
	var se *mux.SessionError
	return errors.As(err, &se) && se.Remote && se.Code == frame.NoError
}

// log returns a logger that names the session, made anew for each line: one that
// is kept is a copy of the handler for each session, for a few lines in its life.
func (s *session) log() *slog.Logger {
	if s.agent == nil {
		return s.srv.log.With("addr", s.addr)
	}
	return s.srv.log.With("addr", s.addr, "session", s.agent.SessionID)
}
