package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// clientConn is what serving needs to know of a public connection. It is set
// before the first request and does not change then, apart from upstreams and
// the wish to linger.
type clientConn struct {
	// remote is the client, local what it connected to: those of the PROXY
	// header where a trusted proxy sent one. Neither is IPv4-mapped.
	remote, local netip.AddrPort
	// scheme and port are those of the endpoints that are served here.
	scheme endpoint.Scheme
	port   uint16
	// sni is the canonical server name, "" without TLS.
	sni string
	// tlsID is the identity of the TLS settings that the handshake was made
	// under, and leaf the certificate that the client got; nil without TLS.
	tlsID string
	leaf  *x509.Certificate
	// tls is the connection with TLS, once its handshake is done; nil without.
	tls *tls.Conn
	// ja4 is the fingerprint of the ClientHello, nil if no policy could ask for
	// it when the connection came in.
	ja4 func() string
	// logs are what log actions recorded before TLS.
	logs logEntries
	// awaited says that an agent for sni was awaited before the handshake, in
	// vain.
	awaited bool
	// start is when it came in.
	start time.Time
	// name is what policies call it, made when one asks.
	name  string
	named sync.Once
	// visits are what policies of endpoints have to do with the connection.
	visits visits
	// known is what all of them know of it that have no connect phase, nil
	// before one asks, and lastNamed the endpoint of the last one.
	known     atomic.Pointer[policy.Conn]
	lastNamed atomic.Pointer[namedEndpoint]
	// metered counts for the endpoint of the latest request, or of the
	// connection; nil before.
	metered atomic.Pointer[meter.Counter]
	// upstreams holds the connection's streams to agents.
	upstreams upstreamSet

	// handedOver says that net/http's server has an HTTP/1 connection from the
	// front, which would have judged a further request more strictly: none
	// follows.
	handedOver bool

	// watch ends it when nothing moves while requests are under way.
	watch watch
	// breakOff closes the connection at once, with a reset where it can.
	breakOff func()

	lingering atomic.Bool
}

// covers reports whether the certificate that the client got is for host too.
func (c *clientConn) covers(host string) bool {
	return c.leaf != nil && c.leaf.VerifyHostname(host) == nil
}

// linger says whether the client may still be sending when the connection is
// closed. If so its bytes are read and dropped for a while, since a reset
// would take the answer from it.
func (c *clientConn) linger(on bool) { c.lingering.Store(on) }

// connKey is the key of the connection in the context of its requests.
type connKey struct{}

// connFrom returns the connection that a request came in on.
func connFrom(ctx context.Context) *clientConn { return ctx.Value(connKey{}).(*clientConn) }

// withConn is the ConnContext of net/http's server.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &public(c).clientConn)
}

// public is the public connection that net/http's server has as c.
func public(c net.Conn) *edgeConn {
	for {
		ec, ok := c.(*edgeConn)
		if ok {
			return ec
		}
		c = c.(interface{ NetConn() net.Conn }).NetConn() // TLS, or bytes read ahead
	}
}

// Lingering lasts until the client ends, says nothing for lingerIdle, or
// lingerTime has passed.
const (
	lingerIdle = 5 * time.Second
	lingerTime = time.Minute
)

// edgeConn is a public connection. Below TLS, where there is any, it counts
// for the limits, tells the client's address and replays what was read ahead.
type edgeConn struct {
	sniff.Conn
	clientConn

	server *Server
	from   netip.Prefix // counted source
	cert   *tls.Certificate
	once   sync.Once

	// While until is set every read has to make progress within stall, and
	// all of them before until.
	stall time.Duration
	until time.Time
	head  headClock
	http2 bool
	began bool // a request was read
	// waiting says that the front waits for a request.
	waiting atomic.Bool
	// armed is when the write deadline was last set, Unix nanoseconds; bounded
	// says that somebody else has set one.
	armed   atomic.Int64
	bounded atomic.Bool
	// idleSince is when the server of HTTP began to wait for another request,
	// Unix nanoseconds, 0 while it does not.
	idleSince atomic.Int64
}

func (s *Server) newConn(l *listener, c net.Conn, from netip.Prefix) *edgeConn {
	ec := &edgeConn{server: s, from: from}
	ec.breakOff = ec.reset
	ec.Conn.Conn = c
	ec.remote, ec.local = netx.AddrPort(c.RemoteAddr()), netx.AddrPort(c.LocalAddr())
	ec.scheme, ec.port, ec.start = l.scheme, l.port, time.Now()
	s.open.add()
	s.mu.Lock()
	closed := s.closed
	s.conns[ec] = struct{}{}
	s.mu.Unlock()
	if closed {
		ec.abandon()
	}
	return ec
}

// readProxyHeader takes the PROXY header off the connection.
func (ec *edgeConn) readProxyHeader(deadline time.Time) error {
	h, err := ec.ProxyHeader(deadline)
	if err != nil || h.Local {
		return err // for LOCAL the transport's own addresses stand
	}
	ec.remote, ec.local = h.Src, h.Dst
	return nil
}

// RemoteAddr returns the client's address.
func (ec *edgeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(ec.remote) }

// Read reads from the connection. See stall and headClock.
func (ec *edgeConn) Read(p []byte) (int, error) {
	by := ec.head.deadline(&ec.server.cfg.Limits)
	if !ec.until.IsZero() {
		by = time.Now().Add(ec.stall)
		if by.After(ec.until) {
			by = ec.until
		}
	}
	if !by.IsZero() {
		if err := ec.SetReadDeadline(by); err != nil {
			return 0, err
		}
	}
	n, err := ec.Conn.Read(p)
	ec.watch.in.Add(int64(n))
	if ec.head.read(n) && errors.Is(err, os.ErrDeadlineExceeded) {
		ec.answerLate()
	}
	return n, err
}

// answerLate says 408 to a head that has begun and does not end: net/http's
// server only closes.
func (ec *edgeConn) answerLate() {
	var c net.Conn = ec
	if ec.tls != nil {
		c = ec.tls // it is reading, and writing has a lock of its own
	}
	f := fault.New(fault.RequestTimeout)
	body, contentType := render(asText, f, f.Status, id.New("req"))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nCache-Control: no-store\r\n%s: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		errorCodeField, f.Code, contentType, len(body), body) // it may be gone
}

// headClock holds the head of an HTTP/1 request to a rate. Time runs from its
// first byte, so that a kept connection may be silent before. It is changed by
// the goroutine that serves the connection, which nobody else reads for while
// it is on.
type headClock struct {
	on    bool
	since time.Time
	bytes int
}

// awaitHead starts or stops the clock of an HTTP/1 connection.
func (ec *edgeConn) awaitHead(on bool) {
	if !ec.http2 {
		ec.head = headClock{on: on}
	}
}

// headGrace is how long a head may take before its rate counts.
const headGrace = 5 * time.Second

// deadline is the latest time for the next byte, zero for none.
func (h *headClock) deadline(l *Limits) time.Time {
	if !h.on || h.bytes == 0 || l.HeadRate <= 0 {
		return time.Time{}
	}
	after := headGrace + time.Duration(h.bytes)*time.Second/time.Duration(l.HeadRate)
	if l.HeadTimeout > 0 {
		after = min(after, l.HeadTimeout)
	}
	return h.since.Add(after)
}

// read notes bytes and reports whether a head has begun.
func (h *headClock) read(n int) bool {
	if !h.on {
		return false
	}
	if h.bytes == 0 {
		h.since = time.Now()
	}
	h.bytes += n
	return h.bytes > 0
}

// shortWrite is the size below which a write to an HTTP/2 connection is worth
// gathering more for the next one.
const shortWrite = 8 << 10

// Write writes to the connection. It fails when nothing can be written for the
// idle time, which is kept to an eighth.
func (ec *edgeConn) Write(p []byte) (int, error) {
	if idle := ec.server.cfg.Limits.IdleTimeout; idle > 0 && !ec.bounded.Load() {
		now := time.Now()
		if now.UnixNano()-ec.armed.Load() > int64(idle/8) {
			ec.armed.Store(now.UnixNano())
			if err := ec.Conn.SetWriteDeadline(now.Add(idle)); err != nil {
				return 0, err
			}
		}
	}
	if ec.http2 && len(p) < shortWrite && ec.watch.open.Load() > 1 {
		runtime.Gosched() // net/http's server flushes early: others add to the next write meanwhile
	}
	n, err := ec.Conn.Write(p)
	ec.watch.out.Add(int64(n))
	ec.metered.Load().Sent(int64(n))
	return n, err
}

// SetWriteDeadline sets the write deadline. None means that of Write.
func (ec *edgeConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && !ec.bounded.Load() {
		return nil
	}
	ec.bounded.Store(!t.IsZero())
	ec.armed.Store(0)
	return ec.Conn.SetWriteDeadline(t)
}

// Detach returns the socket, which has no deadline for writing any more, and
// the bytes read ahead.
func (ec *edgeConn) Detach() (below net.Conn, ahead []byte) {
	_ = ec.Conn.SetWriteDeadline(time.Time{}) // if it fails so does what follows
	return ec.Conn.Detach()
}

// Close ends the connection, after a while if it is to linger.
func (ec *edgeConn) Close() error {
	if !ec.lingering.Load() {
		return ec.end()
	}
	err := net.ErrClosed
	ec.once.Do(func() {
		err = nil
		ec.upstreams.Close()
		// Whoever closes must not wait, and Run waits for open connections.
		go func() {
			_ = lingerClose(ec.Conn.Conn)
			ec.server.forget(ec)
		}()
	})
	return err
}

// lingerClose tells the client that nothing more comes, drops what it still
// sends, and closes the connection.
func lingerClose(c net.Conn) error {
	if err := netx.CloseWrite(c); err != nil {
		return errors.Join(err, c.Close())
	}
	end := time.Now().Add(lingerTime)
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for {
		by := time.Now().Add(lingerIdle)
		if by.After(end) {
			by = end
		}
		err := c.SetReadDeadline(by)
		if err == nil {
			_, err = c.Read(buf[:])
		}
		if err != nil {
			return c.Close()
		}
	}
}

// end closes the connection at once.
func (ec *edgeConn) end() error {
	err := net.ErrClosed
	ec.once.Do(func() {
		ec.upstreams.Close()
		err = ec.Conn.Conn.Close()
		ec.server.forget(ec)
	})
	return err
}

// reset is abandon with a reset, so that the client does not take what it has
// got for the whole.
func (ec *edgeConn) reset() {
	if l, ok := ec.Conn.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // the connection may have ended
	}
	ec.abandon()
}

// abandon closes the connection at once, even if it lingers.
func (ec *edgeConn) abandon() {
	_ = ec.end()
	_ = ec.Conn.Conn.Close()
}

// forget takes a connection out of the books.
func (s *Server) forget(ec *edgeConn) {
	s.mu.Lock()
	delete(s.conns, ec)
	s.mu.Unlock()
	s.limits.leave(ec.from)
	s.open.done()
}

// release gives a connection to somebody else, who gets the socket and the
// bytes read ahead. It counts for the server no more.
func (ec *edgeConn) release() net.Conn {
	var c net.Conn
	ec.once.Do(func() {
		below, ahead := ec.Detach()
		if ec.remote != netx.AddrPort(below.RemoteAddr()) {
			below = behindProxy{below, ec.remote}
		}
		c = netx.Prefixed(below, ahead)
		ec.server.forget(ec)
	})
	return c
}

// behindProxy is a connection whose client a trusted proxy has named.
type behindProxy struct {
	net.Conn
	client netip.AddrPort
}

// RemoteAddr returns the client's address.
func (c behindProxy) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.client) }

// CloseWrite closes the sending half of the connection.
func (c behindProxy) CloseWrite() error { return netx.CloseWrite(c.Conn) }

// NetConn returns the connection below.
func (c behindProxy) NetConn() net.Conn { return c.Conn }

// feed is the listener that hands connections to net/http's server.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

// give hands a connection over. It reports false if the server has ended.
func (f *feed) give(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept implements net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr implements net.Listener.
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }
