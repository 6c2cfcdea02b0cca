package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
)

// maxUnsent bounds what the system keeps for a client that does not read, in
// bytes (reliability-security.md T09).
const maxUnsent = 128 << 10

// listener is one open port.
type listener struct {
	net.Listener
	scheme endpoint.Scheme
	// port is the one in the keys of the endpoints that are served here.
	port uint16
}

// Addr is where a listener listens.
type Addr struct {
	// Scheme is that of the listener; https stands for tls too.
	Scheme endpoint.Scheme
	// Port is the port in the URLs of its endpoints, 80 and 443 for the two
	// standard ones.
	Port uint16
	// Addr is the address itself.
	Addr netip.AddrPort
}

// Addrs returns the addresses of the open listeners: http, https, the extra
// ones, then those of TCP endpoints.
func (s *Server) Addrs() []Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]Addr, 0, len(s.listeners)+len(s.tcp))
	for _, l := range s.listeners {
		addrs = append(addrs, Addr{Scheme: l.scheme, Port: l.port, Addr: netx.AddrPort(l.Addr())})
	}
	for _, l := range s.tcp {
		addrs = append(addrs, Addr{Scheme: l.scheme, Port: l.port, Addr: netx.AddrPort(l.Addr())})
	}
	return addrs
}

// listen opens the listeners of the configuration and starts to accept on them.
func (s *Server) listen(ctx context.Context) error {
	type want struct {
		scheme     endpoint.Scheme
		port       uint16
		addr, flag string
	}
	var wants []want
	if s.cfg.HTTPAddr != "" {
		wants = append(wants, want{endpoint.HTTP, endpoint.HTTP.DefaultPort(), s.cfg.HTTPAddr, "--http-addr"})
	}
	if s.cfg.HTTPSAddr != "" {
		wants = append(wants, want{endpoint.HTTPS, endpoint.HTTPS.DefaultPort(), s.cfg.HTTPSAddr, "--https-addr"})
	}
	for _, x := range s.cfg.Extra {
		wants = append(wants, want{x.Scheme, x.Port, x.Addr, "extra_listeners"})
	}
	opened := make([]*listener, 0, len(wants))
	for _, w := range wants {
		nl, err := s.cfg.Listen(ctx, "tcp", w.addr)
		if err != nil {
			for _, l := range opened {
				_ = l.Close()
			}
			return fault.Wrap(err, fault.ListenFailed, w.addr, string(w.scheme), cause(err), w.flag)
		}
		netx.LimitUnsent(nl, maxUnsent)
		l := &listener{Listener: nl, scheme: w.scheme, port: w.port}
		if l.port == 0 {
			l.port = netx.AddrPort(nl.Addr()).Port()
		}
		opened = append(opened, l)
	}
	s.mu.Lock()
	s.listeners = opened
	s.mu.Unlock()
	for _, l := range opened {
		s.group.Go(func() { s.accept(ctx, l) })
	}
	return nil
}

// cause cuts operation and address off an error of the net package.
func cause(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// Claim opens a port for a TCP endpoint on Config.TCPHost. It fails if another
// program or endpoint has it, if the server is not running, and, like the
// system with EMFILE, beyond Limits.TCPListeners.
func (s *Server) Claim(port uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil || s.stopped {
		return errors.New("the server is not running")
	}
	if _, taken := s.tcp[port]; taken {
		return fmt.Errorf("the port has an endpoint: %w", syscall.EADDRINUSE)
	}
	if n := len(s.tcp); n >= s.live.Load().TCPListeners {
		return fmt.Errorf("%d ports of TCP endpoints are open, which is the limit: %w", n, syscall.EMFILE)
	}
	nl, err := s.cfg.Listen(s.ctx, "tcp", net.JoinHostPort(s.cfg.TCPHost, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	netx.LimitUnsent(nl, maxUnsent)
	l := &listener{Listener: netx.Sockets(nl), scheme: endpoint.TCP, port: port}
	s.tcp[port] = l
	ctx := s.ctx
	s.group.Go(func() { s.accept(ctx, l) })
	return nil
}

// Release closes a port that Claim opened. Connections that came in through it
// go on. A port that is not open is left alone.
func (s *Server) Release(port uint16) {
	s.mu.Lock()
	l := s.tcp[port]
	delete(s.tcp, port)
	s.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
}

// stopAccepting closes all listeners.
func (s *Server) stopAccepting() {
	s.stopOnce.Do(func() { close(s.stop) })
	s.mu.Lock()
	s.stopped = true
	ls := s.listeners
	for _, l := range s.tcp {
		ls = append(ls, l)
	}
	s.mu.Unlock()
	for _, l := range ls {
		_ = l.Close()
	}
}

// Accepting goes on after errors, such as that of too many open files, since
// what they say may be over at the next connection.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// accept takes connections from l until it is closed.
func (s *Server) accept(ctx context.Context, l *listener) {
	wait := acceptPauseMin
	for {
		s.limits.room(s.stop)
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.Warn("accept", "scheme", l.scheme, "listener", l.Addr().String(), "err", err, "retry_in", wait)
			if !backoff.Sleep(ctx, wait) {
				return
			}
			wait = min(2*wait, acceptPauseMax)
			continue
		}
		wait = acceptPauseMin
		s.admit(ctx, l, c)
	}
}

// admit takes a connection in if the limits allow it.
func (s *Server) admit(ctx context.Context, l *listener, c net.Conn) {
	peer := netx.AddrPort(c.RemoteAddr())
	trusted := s.trusts(peer.Addr())
	var from netip.Prefix
	if !trusted {
		var ok bool
		if from, ok = s.limits.admit(peer.Addr(), time.Now()); !ok {
			s.log.Debug("connection refused: too many from its source", "client", peer.String())
			_ = c.Close()
			return
		}
	}
	if !s.limits.place(s.stop) {
		s.limits.leaveSource(from)
		_ = c.Close()
		return
	}
	ec := s.newConn(l, c, from)
	s.streams.add()
	s.group.Go(func() {
		defer s.streams.done()
		defer s.contain(ec)
		s.serve(ctx, l, ec, trusted)
	})
}

// contain makes a panic cost the connection alone (T83).
func (s *Server) contain(ec *edgeConn) {
	if v := recover(); v != nil {
		s.log.Error("panic in a connection", "panic", v, "client", ec.remote.String(), "stack", string(debug.Stack()))
		ec.reset()
	}
}

// trusts reports whether a peer is a balancer whose PROXY header is believed.
func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// serve takes a connection to where it belongs. It returns when the connection
// has ended or somebody else has taken it over.
func (s *Server) serve(ctx context.Context, l *listener, ec *edgeConn, trusted bool) {
	if trusted {
		if err := ec.readProxyHeader(time.Now().Add(s.live.Load().SniffTimeout)); err != nil {
			s.log.Debug("no PROXY header from a trusted proxy", "peer", ec.remote.String(), "err", err)
			ec.abandon()
			return
		}
	}
	switch l.scheme {
	case endpoint.HTTP:
		s.serveHTTP(ctx, ec, ec)
	case endpoint.TCP:
		s.serveTCP(ctx, ec)
	case endpoint.HTTPS, endpoint.TLS:
		s.serveTLS(ctx, l, ec)
	}
}
