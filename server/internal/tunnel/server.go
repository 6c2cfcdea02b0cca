package tunnel

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// Authenticator decides who may connect.
type Authenticator interface {
	// Authenticate returns the agent that auth belongs to, with Account and
	// TokenID set, or a fault that the agent is told.
	Authenticate(ctx context.Context, auth wire.Auth, from netip.AddrPort) (wire.Agent, error)
}

// Binder decides which URL a bind gets, and keeps it for its holder.
type Binder interface {
	// Reserve claims the URL that bind asks for. What it returns does not change
	// any more. Its error is a fault that the agent is told.
	Reserve(ctx context.Context, agent wire.Agent, bind wire.Bind) (*wire.Bound, error)
	// Patch changes an endpoint that the agent holds and returns what it is now.
	Patch(ctx context.Context, agent wire.Agent, patch wire.PatchTunnelState) (*wire.Bound, error)
	// Release gives an endpoint back. If it was not lost cleanly the agent is
	// expected to come back for it. Release does nothing if the agent no longer
	// holds the endpoint.
	Release(ctx context.Context, tunnelID string, agent wire.Agent, clean bool)
}

// Publisher makes endpoints reachable.
type Publisher interface {
	// Publish returns once t can be reached, or is reached in its changed form
	// if it was published before.
	Publish(ctx context.Context, t *Tunnel) error
	// Withdraw returns once no new connection reaches t. If it was not lost
	// cleanly its agent is expected back.
	Withdraw(t *Tunnel, clean bool)
}

// Config is what a [Server] is made of.
type Config struct {
	// Auth, Binder, Publisher and Cookies are required.
	Auth      Authenticator
	Binder    Binder
	Publisher Publisher
	Cookies   Sealer
	// TLS ends the agents' TLS. Nil means that connections are not encrypted,
	// which is for tests.
	TLS *tls.Config
	// SharedTLS ends it for those that come by a listener for clients. Default: as
	// TLS.
	SharedTLS *tls.Config
	// Limits bound what agents may cost.
	Limits Limits
	// Region and Version are told to agents.
	Region, Version string
	// MostAgents is how many agents an account may have connected at a time, if it has such a limit. Nil means
	// that none has.
	MostAgents func(account string) (limit int64, ok bool)
	// AccountName is shown to the agents' users. Default: nothing.
	AccountName string
	// ConnectAddresses are offered to agents that use several legs.
	ConnectAddresses []wire.ConnectAddress
	// Ingress returns the account whose agents alone may connect to a canonical
	// server name, if there is one. Default: all may connect to every name.
	Ingress func(name string) (account string, ok bool)
	// Logger gets sessions and endpoints that come and go. Default: nothing.
	Logger *slog.Logger
}

// Server holds the agent sessions of one server. Make one with [New].
type Server struct {
	cfg       Config
	log       *slog.Logger
	limits    atomic.Pointer[Limits] // they may change
	tls       *tls.Config            // paced; nil without TLS, as is shared
	shared    *tls.Config
	places    places
	budget    *mux.Budget
	admission *admission
	failures  *failures
	running   sync.WaitGroup // every connection, from ServeConn to its end
	noWait    ended          // for calls that are not to wait

	// draining is set when no agent and no stream may come any more.
	draining atomic.Bool

	mu      sync.Mutex
	groups  map[string]*group     // by client id; guarded by mu, as is all below
	agents  map[string]int64      // how many groups an account has
	tunnels map[string]*Tunnel    // by tunnel id
	conns   map[*session]struct{} // all sessions, authenticated or not
	// greeting ends the TLS handshakes that are under way. Who does not make it
	// must not hold up a shutdown.
	greeting map[net.Conn]context.CancelFunc
	closed   bool
}

// New returns a server without sessions. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults()
	noWait := ended(make(chan struct{}))
	close(noWait)
	s := &Server{
		cfg: cfg, log: cfg.Logger,
		places:    places{most: limits.Connections},
		budget:    mux.NewBudget(limits.AllUnread),
		admission: newAdmission(limits),
		failures:  newFailures(limits),
		noWait:    noWait,
		greeting:  map[net.Conn]context.CancelFunc{},
		groups:    map[string]*group{},
		agents:    map[string]int64{},
		tunnels:   map[string]*Tunnel{},
		conns:     map[*session]struct{}{},
	}
	s.limits.Store(&limits)
	if cfg.TLS != nil {
		turns := newTurns(turnsAtOnce())
		s.tls = turns.pace(cfg.TLS)
		s.shared = turns.pace(cmp.Or(cfg.SharedTLS, cfg.TLS))
	}
	return s
}

// SetLimits changes, while the server runs, the limits that [Limits.Fixed] leaves out. Sessions that there are keep
// the memory they may take; all else holds for them too.
func (s *Server) SetLimits(l Limits) {
	l = l.withDefaults()
	s.limits.Store(&l)
}

// ServeConn takes over the connection of an agent that came by a listener for
// clients: TLS, authentication and then the session, which lives until either side ends it, ctx ends or the server is
// closed. It returns when TLS is done; the session runs on a goroutine of its
// own, whose stack has never held a handshake.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	if !s.places.take() {
		s.log.Debug("agent connection refused: too many are open", "addr", conn.RemoteAddr())
		conn.Close()
		return
	}
	s.serve(ctx, conn, s.shared)
}

// serve is ServeConn for a connection that has a place, which it gives back.
func (s *Server) serve(ctx context.Context, conn net.Conn, paced *tls.Config) {
	if !s.begin(ctx, conn, paced) {
		conn.Close()
		s.places.give()
	}
}

// begin starts a session on conn. It reports false if there is none.
func (s *Server) begin(ctx context.Context, conn net.Conn, paced *tls.Config) bool {
	addr := netx.AddrPort(conn.RemoteAddr())
	deadline := time.Now().Add(s.limits.Load().AuthTimeout)
	leave := s.enter(ctx, addr, deadline)
	if leave == nil {
		s.log.Debug("agent connection refused: too many are authenticating", "addr", addr)
		return false
	}
	greet, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	refuse := s.closed || s.draining.Load()
	if !refuse {
		s.running.Add(1)
		s.greeting[conn] = cancel
	}
	s.mu.Unlock()
	if refuse {
		leave()
		return false
	}
	secured, err := s.secure(greet, conn, paced, deadline)
	s.mu.Lock()
	delete(s.greeting, conn)
	s.mu.Unlock()
	if err != nil {
		s.log.Debug("agent TLS handshake", "addr", addr, "err", err)
		leave()
		s.running.Done()
		return false
	}
	ses := newSession(ctx, s, secured, addr, leave)
	ses.ingress = s.ingressOf(secured)
	go func() {
		defer s.running.Done()
		defer s.places.give()
		ses.run(ctx, deadline)
	}()
	return true
}

// enter takes a place among those that authenticate.
func (s *Server) enter(ctx context.Context, addr netip.AddrPort, deadline time.Time) (leave func()) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return s.admission.enter(ctx, addr.Addr())
}

// secure ends TLS on conn. The deadline and ctx bound the handshake, of which a
// third is left to the peer once its turn has come: who waited for longer would
// give up before it is answered.
func (s *Server) secure(ctx context.Context, conn net.Conn, paced *tls.Config, deadline time.Time) (net.Conn, error) {
	if paced == nil {
		return conn, nil
	}
	return handshake(ctx, conn, paced, deadline.Add(-s.limits.Load().AuthTimeout/3), deadline)
}

// ingressOf returns the name that an agent has connected to, if it is that of
// one account.
func (s *Server) ingressOf(secured net.Conn) string {
	t, ok := secured.(*tls.Conn)
	if !ok || s.cfg.Ingress == nil {
		return ""
	}
	name, _ := sniff.CanonicalName(t.ConnectionState().ServerName)
	if _, ok := s.cfg.Ingress(name); !ok {
		return ""
	}
	return name
}

// NumSessions returns how many connections of authenticated agents there are.
func (s *Server) NumSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.groups {
		n += len(g.legs)
	}
	return n
}

// NumStreams returns how many connections are being carried to agents.
func (s *Server) NumStreams() int {
	n := 0
	for _, ses := range s.sessions() {
		n += ses.mux.NumOpened()
	}
	return n
}

// sessions returns all sessions, authenticated or not.
func (s *Server) sessions() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.conns))
	for ses := range s.conns {
		all = append(all, ses)
	}
	return all
}
