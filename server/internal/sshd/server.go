package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/window"
)

// ErrUnknown says that no session has the id given to a command.
var ErrUnknown = errors.New("sshd: unknown id")

// Authenticator decides who may connect. Its errors are faults that the client is told; of the agents it returns
// Account, TokenID and Principal are set.
type Authenticator interface {
	// Key returns who has registered a public key, by its fingerprint as ssh.FingerprintSHA256 writes it.
	Key(ctx context.Context, fingerprint string, from netip.AddrPort) (wire.Agent, error)
	// Token returns who holds an authtoken.
	Token(ctx context.Context, authtoken string, from netip.AddrPort) (wire.Agent, error)
}

// Binder decides which URL a forward gets, and keeps it for its holder.
type Binder interface {
	// Reserve claims the URL that bind asks for. Its error is a fault that the client is told.
	Reserve(ctx context.Context, agent wire.Agent, bind wire.Bind) (*wire.Bound, error)
	// Release gives an endpoint back.
	Release(ctx context.Context, endpointID string, agent wire.Agent, clean bool)
}

// Publisher makes endpoints reachable.
type Publisher interface {
	// Publish returns once f can be reached.
	Publish(ctx context.Context, f *Forward) error
	// Withdraw returns once no new connection reaches f.
	Withdraw(f *Forward, clean bool)
}

// Config is what a [Server] is made of.
type Config struct {
	// HostKey, Auth, Binder and Publisher are required.
	HostKey   ssh.Signer
	Auth      Authenticator
	Binder    Binder
	Publisher Publisher
	// FetchPolicy reads the traffic policy that a flag names. Nil means that none can be.
	FetchPolicy func(ctx context.Context, url string) (string, error)
	// TCPHost is the host of TCP endpoints.
	TCPHost string
	// Limits bound what clients may cost.
	Limits Limits
	// Region is what the server calls its place.
	Region string
	// Logger gets sessions and endpoints that come and go. Default: nothing.
	Logger *slog.Logger
}

// Server holds the connections of SSH clients. Make one with [New].
type Server struct {
	cfg      Config
	log      *slog.Logger
	limits   Limits
	failures *window.Table // wrong passwords, by source
	streams  atomic.Int64  // public connections being carried
	running  sync.WaitGroup
	draining atomic.Bool

	mu      sync.Mutex
	closed  bool                 // guarded by mu, as is all below
	conns   map[net.Conn]*conn   // all of them; nil for those that log in
	pending map[netip.Prefix]int // those that log in, by source
	byID    map[string]*conn     // those that are logged in, by session id
	logging int                  // how many log in
}

// New returns a server without connections. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, log: cfg.Logger, limits: cfg.Limits.withDefaults(), failures: window.New(time.Minute, 0),
		conns: map[net.Conn]*conn{}, pending: map[netip.Prefix]int{}, byID: map[string]*conn{},
	}
}

// Accepting rests after it has failed, for longer from failure to failure.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Serve accepts clients from ln until it is closed or ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) {
	wait := acceptPauseMin
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			wait = acceptPauseMin
			s.ServeConn(ctx, nc)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, most likely
			s.log.Warn("accept ssh client", "err", err, "retry_in", wait)
			if !backoff.Sleep(ctx, wait) {
				return
			}
			wait = min(2*wait, acceptPauseMax)
		}
	}
}

// ServeConn takes over the connection of a client and returns at once. The connection lives until either side ends
// it, ctx ends or the server is closed.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	addr := netx.AddrPort(nc.RemoteAddr())
	if !s.enter(nc, addr.Addr()) {
		s.log.Debug("ssh connection refused: too many are open", "addr", addr)
		_ = nc.Close()
		return
	}
	go func() {
		defer s.running.Done()
		s.serve(ctx, nc, addr)
	}()
}

// enter takes a place among those that log in.
func (s *Server) enter(nc net.Conn, addr netip.Addr) bool {
	source := netx.Source(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, s.draining.Load(), len(s.conns) >= s.limits.Connections, s.logging >= s.limits.Pending,
		source.IsValid() && s.pending[source] >= s.limits.PendingPerSource:
		return false
	}
	s.conns[nc] = nil
	s.logging++
	s.pending[source]++
	s.running.Add(1)
	return true
}

// loggedIn gives the place among those that log in back. With a conn, it is one of those that are logged in from now
// on, unless the server has been closed.
func (s *Server) loggedIn(nc net.Conn, addr netip.Addr, c *conn) bool {
	source := netx.Source(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logging--
	if s.pending[source]--; s.pending[source] <= 0 {
		delete(s.pending, source)
	}
	if c == nil || s.closed || s.draining.Load() {
		return false
	}
	s.conns[nc] = c
	s.byID[c.agent.SessionID] = c
	return true
}

// leave forgets a connection.
func (s *Server) leave(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[nc]; c != nil {
		delete(s.byID, c.agent.SessionID)
	}
	delete(s.conns, nc)
}

// all returns the connections that are logged in.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.byID))
	for _, c := range s.byID {
		list = append(list, c)
	}
	return list
}

// Agents returns every session, in no order. What it returns may have ended already.
func (s *Server) Agents() []wire.Agent {
	list := s.all()
	agents := make([]wire.Agent, len(list))
	for i, c := range list {
		agents[i] = c.agent
	}
	return agents
}

// NumStreams returns how many public connections are being carried.
func (s *Server) NumStreams() int { return int(s.streams.Load()) }

// Revoke ends the sessions whose credential is not valid any more.
func (s *Server) Revoke(valid func(credentialID string) bool) {
	for _, c := range s.all() {
		if !valid(c.agent.TokenID) {
			c.fail(fault.New(fault.SSHRevoked))
		}
	}
}

// StopSession ends the session with an id. It fails with [ErrUnknown].
func (s *Server) StopSession(_ context.Context, sessionID string) error {
	c := s.find(sessionID)
	if c == nil {
		return ErrUnknown
	}
	c.fail(fault.New(fault.SSHStopped))
	return nil
}

// RestartSession fails with fault.SSHNoRestart, or with [ErrUnknown].
func (s *Server) RestartSession(_ context.Context, sessionID string) error {
	if s.find(sessionID) == nil {
		return ErrUnknown
	}
	return fault.New(fault.SSHNoRestart)
}

// UpdateSession fails with fault.SSHNoUpdate, or with [ErrUnknown].
func (s *Server) UpdateSession(_ context.Context, sessionID, _ string, _ bool) error {
	if s.find(sessionID) == nil {
		return ErrUnknown
	}
	return fault.New(fault.SSHNoUpdate)
}

func (s *Server) find(sessionID string) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[sessionID]
}

// drainPoll is how often a draining server looks whether streams are left.
const drainPoll = 10 * time.Millisecond

// Drain takes no new clients, opens no new streams and lets those that are open finish until ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.draining.Store(true)
	for s.streams.Load() > 0 && backoff.Sleep(ctx, drainPoll) {
	}
	for _, c := range s.all() {
		c.fail(fault.New(fault.ServerDraining))
	}
}

// Close ends every connection at once and returns when nothing of them is left. It is idempotent.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for nc := range s.conns {
		_ = nc.Close() // whoever serves it notices
	}
	s.mu.Unlock()
	s.running.Wait()
}
