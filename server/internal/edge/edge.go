package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/h1"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// Certificates finds the certificate for a server name.
type Certificates interface {
	// GetCertificate returns the certificate for a canonical server name. It
	// fails for names that it has none for.
	GetCertificate(serverName string) (*tls.Certificate, error)
}

// Config is what a Server needs. Fields without a stated default are required.
type Config struct {
	// Router holds the endpoints that are online.
	Router *route.Router
	// Certs finds certificates for endpoints that bring none.
	Certs Certificates
	// Agents takes over connections whose server name is connect.<domain>,
	// before their TLS handshake. It closes the connection when it is done
	// and may return earlier or later; its context ends with that of Run.
	Agents func(ctx context.Context, c net.Conn)
	// Ingress says whether a canonical server name is one of an account's own
	// for its agents; such connections go to Agents too. Default: none is.
	Ingress func(name string) bool
	// API takes over connections whose server name is api.<domain>, as Agents
	// does its own. Default: such connections are like any others.
	API func(ctx context.Context, c net.Conn)
	// Domains are the base domains, canonical.
	Domains []string
	// HTTPAddr and HTTPSAddr are the addresses of the listeners for the
	// standard ports 80 and 443, whatever ports they have themselves. An empty
	// one is not opened.
	HTTPAddr, HTTPSAddr string
	// Extra are listeners on ports that stand for themselves.
	Extra []ExtraListener
	// TCPHost is the host on which Claim opens ports.
	TCPHost string
	// Listen opens listeners. Default: netx.Listen.
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
	// TrustedProxies are peers whose connections to the listeners have to
	// begin with a PROXY header, version 1 or 2.
	TrustedProxies []netip.Prefix
	// Limits bound what clients may cost.
	Limits Limits
	// RedirectHTTP is the status, 307 or 308, with which a request on the http
	// port is sent to https if only an https endpoint has its name. 0 is off.
	RedirectHTTP int
	// HTTPSPort is the port that clients use for https; default 443.
	HTTPSPort uint16
	// ForwardedHeaders says what becomes of X-Forwarded-* headers; default
	// ForwardAppend.
	ForwardedHeaders Forwarded
	// Services answer what policies ask of the world outside; any may be nil.
	Services policy.Services
	// Admit says whether an address may use the public endpoints of an account:
	// nil, or a fault that requests are answered with. It is asked before any
	// policy, for each request and each connection of tcp and tls. Default:
	// everybody may.
	Admit func(account string, client netip.Addr) error
	// Challenges prove names to certificate authorities, before any endpoint is
	// looked for. Default: none.
	Challenges Challenges
	// Region is what policies know as the place of the server.
	Region string
	// StartedAt is when the server started: agents of an earlier process are
	// awaited for some seconds from then on. Default: when Run is called.
	StartedAt time.Time
	// AccessLog gets a record for each request, and for each connection of tcp
	// and tls. Default: none.
	AccessLog *slog.Logger
	// Logger gets the rest. Default: nothing is logged.
	Logger *slog.Logger
}

// ExtraListener is a listener for endpoints whose URL names its port.
type ExtraListener struct {
	// Scheme is http, https or tls. One for https serves tls endpoints too.
	Scheme endpoint.Scheme
	// Addr is host:port.
	Addr string
	// Port is the port in the endpoints' URLs; default: that of the listener.
	Port uint16
}

// Server is the public side of a node. Make it with New, and start it with
// Run.
type Server struct {
	cfg     Config
	log     *slog.Logger
	handed  map[string]func(context.Context, net.Conn) // who takes connections for connect.<domain> and api.<domain>
	limits  *limiter
	live    atomic.Pointer[Limits] // of connections; they may change
	https   *tls.Config            // for endpoints without TLS settings of their own
	handler *handler
	leave   context.CancelFunc // tells upgraded connections that the server goes
	front   *h1.Server         // serves what is ordinary
	http    *http.Server       // and this the rest
	feed    *feed              // the connections for http
	// returning is where requests and connections wait for agents.
	returning *returning

	ready    chan struct{}
	stop     chan struct{} // closed when no connection may come in any more
	stopOnce sync.Once

	// group holds the goroutines of Run.
	group sync.WaitGroup
	// streams counts the connections that are joined to an upstream or on
	// their way to where they belong, open all public connections, and
	// serving what the servers of HTTP have at hand.
	streams, open, serving counter
	// draining says that no request may be waited for any more.
	draining atomic.Bool

	mu        sync.Mutex
	ctx       context.Context //nolint:containedctx // the lifetime of Run, for listeners that open later; nil before
	stopped   bool            // no further listener may open
	closed    bool            // no further connection may come in
	listeners []*listener
	tcp       map[uint16]*listener
	conns     map[*edgeConn]struct{}
}

// New returns a server that is not running yet.
func New(cfg Config) *Server {
	if cfg.Listen == nil {
		cfg.Listen = netx.Listen
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTPSPort == 0 {
		cfg.HTTPSPort = endpoint.HTTPS.DefaultPort()
	}
	if cfg.Admit == nil {
		cfg.Admit = everybody
	}
	if cfg.ForwardedHeaders == "" {
		cfg.ForwardedHeaders = ForwardAppend
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &Server{
		cfg:    cfg,
		log:    cfg.Logger,
		handed: make(map[string]func(context.Context, net.Conn)),
		limits: newLimiter(cfg.Limits),
		https:  serverConfig(nil, true),
		feed:   newFeed(),
		ready:  make(chan struct{}),
		stop:   make(chan struct{}),
		tcp:    make(map[uint16]*listener),
		conns:  make(map[*edgeConn]struct{}),
	}
	s.live.Store(&cfg.Limits)
	for _, d := range cfg.Domains {
		s.handed["connect."+d] = cfg.Agents
		if cfg.API != nil {
			s.handed["api."+d] = cfg.API
		}
	}
	return s
}

// Run opens the listeners, serves until ctx ends, and returns when nothing of
// the server is left. Connections still open then are closed; to let them
// finish call Drain before. It fails, with all listeners closed again, if one
// of them cannot be opened. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.StartedAt.IsZero() {
		s.cfg.StartedAt = time.Now()
	}
	s.returning = &returning{
		router: s.cfg.Router, domains: s.cfg.Domains, startedAt: s.cfg.StartedAt, most: s.cfg.Limits.Waiting, stop: s.stop,
	}
	leaving, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	s.leave = leave
	s.handler = newHandler(handlerConfig{
		leaving: leaving, router: s.cfg.Router, returning: s.returning, redirect: s.cfg.RedirectHTTP,
		httpsPort: s.cfg.HTTPSPort, forwarded: s.cfg.ForwardedHeaders,
		services: s.cfg.Services, admits: s.cfg.Admit, challenges: s.cfg.Challenges, region: s.cfg.Region, limits: s.cfg.Limits, accessLog: s.cfg.AccessLog, logger: s.log,
	})
	s.front, s.http = s.newFront(), s.newHTTPServer(ctx)
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	if err := s.listen(ctx); err != nil {
		s.stopAccepting()
		s.group.Wait()
		return err
	}
	s.group.Go(func() {
		if err := s.http.Serve(s.feed); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http server ended", "err", err)
		}
	})
	s.group.Go(func() { s.closeIdle(ctx) })
	close(s.ready)
	<-ctx.Done()
	s.stopAccepting()
	s.closeConns()
	<-s.handler.sockets.zero()
	<-s.serving.zero()
	<-s.open.zero()
	s.group.Wait()
	return nil
}

// SetLimits changes, while the server runs, the limits of connections: those that
// [Limits.Fixed] leaves out. Connections that are open stay so.
func (s *Server) SetLimits(l Limits) {
	l = l.withDefaults()
	s.live.Store(&l)
	s.limits.set(l)
}

// Ready returns a channel that is closed once every listener accepts.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Drain stops accepting, lets kept connections end with their next request if it
// comes soon, lets requests and connections that are under way finish, and closes those that outlast ctx. It returns when no public
// connection is left; agents' connections are not touched. Run goes on until
// its context ends.
func (s *Server) Drain(ctx context.Context) {
	select {
	case <-s.ready:
	default:
		return // Run has not got there, or has failed
	}
	s.stopAccepting()
	s.lastCall(ctx)
	var wg sync.WaitGroup
	// net/http's server closes idle connections at once, and its feed takes
	// no more.
	wg.Go(func() { _ = s.http.Shutdown(ctx) }) // its only error is that of ctx
	s.endWaiting()
	for _, c := range []*counter{&s.handler.sockets, &s.streams, &s.serving} {
		wg.Go(func() {
			select {
			case <-c.zero():
			case <-ctx.Done():
			}
		})
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // who cancels is in a hurry
		s.leave()
		select {
		case <-s.handler.sockets.zero():
		case <-time.After(farewellTime):
		}
	}
	s.closeConns()
	<-s.serving.zero()
	<-s.open.zero()
}

// lastCallTime is how long kept connections may begin one more request when the
// server drains.
const lastCallTime = 500 * time.Millisecond

// lastCall answers requests with the end of their connection for a while, or
// until no connection is left. A client that uses its connection all the time
// so learns of the end between two requests; closing at once would cross the
// next one on its way, which clients do not repeat if it is a POST.
func (s *Server) lastCall(ctx context.Context) {
	s.handler.ending.Store(true)
	t := time.NewTimer(lastCallTime)
	defer t.Stop()
	select {
	case <-s.serving.zero():
	case <-t.C:
	case <-ctx.Done():
	}
}

// closeConns closes every public connection.
func (s *Server) closeConns() {
	_ = s.http.Close() // errors of connections that end anyway
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.each(func(*edgeConn) bool { return true }, (*edgeConn).abandon)
}

// each does something with the public connections that which picks.
func (s *Server) each(which func(*edgeConn) bool, do func(*edgeConn)) {
	var conns []*edgeConn
	s.mu.Lock()
	for ec := range s.conns {
		if which(ec) {
			conns = append(conns, ec)
		}
	}
	s.mu.Unlock()
	for _, ec := range conns {
		do(ec)
	}
}

// newHTTPServer returns the server for HTTP/2, and for what the front does not
// take. TLS and the choice of its protocol are done when it gets them.
func (s *Server) newHTTPServer(ctx context.Context) *http.Server {
	l := s.cfg.Limits
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	return &http.Server{
		Handler:           s.counted(s.handler),
		Protocols:         &p,
		ReadHeaderTimeout: l.HeadTimeout,
		IdleTimeout:       l.KeepAlive,
		MaxHeaderBytes:    l.HeadBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// "OPTIONS *" is the endpoint's to answer.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext:                  withConn,
		ConnState:                    s.connState,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          l.Streams,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     512 << 10,
			WriteByteTimeout:              l.IdleTimeout,
		},
	}
}

// give hands a connection to net/http's server.
func (s *Server) give(c net.Conn) {
	s.serving.add()
	if !s.feed.give(c) {
		s.serving.done()
		_ = c.Close()
	}
}

// connState follows what net/http's server does with a connection.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	ec := public(c)
	ec.idleSince.Store(0)
	switch state {
	case http.StateNew:
		if !ec.head.on { // the front may have read a part of the head
			ec.awaitHead(true)
		}
	case http.StateActive:
		ec.awaitHead(false)
	case http.StateIdle:
		ec.awaitHead(true)
		ec.idleSince.Store(time.Now().UnixNano())
	case http.StateClosed, http.StateHijacked:
		s.serving.done() // somebody may still be reading
	}
}

// closeIdle closes connections that have waited for their next request longer
// than they may while more than half of the places are taken, until ctx ends.
func (s *Server) closeIdle(ctx context.Context) {
	t := time.NewTicker(max(s.live.Load().KeepAliveFull/4, time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			if !s.limits.half() {
				continue
			}
			most := s.live.Load().KeepAliveFull
			s.each(func(ec *edgeConn) bool {
				since := ec.idleSince.Load()
				return since != 0 && now.UnixNano()-since > int64(most)
			}, (*edgeConn).abandon)
		}
	}
}

// counted makes the end of Run wait for requests: with HTTP/2 they may outlive
// their connection.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serving.add()
		defer s.serving.done()
		h.ServeHTTP(w, r)
	})
}

// counter counts things that are under way, and lets others wait until none
// is. Unlike a sync.WaitGroup it may be raised while somebody waits.
type counter struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n becomes 0; nil while nobody waits
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// zero returns a channel that is closed once nothing is under way.
func (c *counter) zero() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if c.none == nil {
		c.none = make(chan struct{})
	}
	return c.none
}
