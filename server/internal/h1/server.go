package h1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// serverBuffer is what a connection holds while it waits for a request. A
	// head that does not fit has a larger one until it was parsed.
	serverBuffer = 4 << 10
	// watchAfter is how long an exchange lasts before its client is watched.
	// Most are over before, and cost neither a goroutine nor a deadline.
	watchAfter = 20 * time.Millisecond
)

// Server serves the ordinary requests of HTTP/1.1 connections: well-formed to
// the letter, with a path as target, without a WebSocket. It refuses what two
// readers may take for two different messages (decision 21), however it is
// spelt. At the first request that is anything else it hands the connection
// back with the bytes read, for a server that knows the rest: there is one judge
// of what is unusual, and this loop stays small (decision 16). That server is to
// end the connection with this request, or it would judge the next one.
//
// Nothing is added to a response but its framing and Connection: close.
// Handlers find the usual controls (http.ResponseController) except hijacking,
// and no TLS in their requests: they know their connections.
type Server struct {
	// Handler serves the requests. The context of a request lives as long as
	// its connection, or until its client has gone.
	Handler http.Handler
	// Refuse answers a request that is not to be served, and may mean another
	// one to somebody else. The connection ends with it. Required.
	Refuse func(w http.ResponseWriter, r *http.Request, why string)
	// HeadTimeout bounds the wait for the first request of a connection, and
	// for the rest of a head that has begun; 0 is none.
	HeadTimeout time.Duration
	// KeepAlive bounds the wait for each further request; 0 is none.
	KeepAlive time.Duration
	// MaxHead bounds a head in bytes, and MaxFields its lines; what exceeds
	// them is unusual. Required.
	MaxHead, MaxFields int
	// MaxTrailer bounds a trailer section in bytes, and MaxTrailerFields its
	// lines; what exceeds them is a broken body. Required.
	MaxTrailer, MaxTrailerFields int
	// Logger gets panics. Required.
	Logger *slog.Logger
}

// Phases hears where a connection stands. Its methods are called in turn by
// the goroutine of Serve.
type Phases interface {
	// Waiting is called before the connection waits for a request, from now on.
	// It returns false if none may come any more.
	Waiting(now time.Time) bool
	// Serving is called when the head of a request was read.
	Serving()
	// Last is called when a response begins, and reports whether the
	// connection is to end with it.
	Last() bool
}

// serverConn is one connection of a Server. It belongs to the goroutine of
// Serve; the body of a request may be read by another one.
type serverConn struct {
	s      *Server
	nc     net.Conn
	base   http.Request // what all requests of the connection have in common
	phases Phases
	cancel context.CancelFunc

	pooled *[serverBuffer]byte
	buf    []byte    // that of pooled, or a larger one
	r, w   int       // buf[r:w] was read and not used yet
	bound  time.Time // the deadline for reading, zero if there is none
	served int
	since  time.Time // when the wait for the next request began
	watch  clientWatch
}

var serverBuffers = sync.Pool{New: func() any { return new([serverBuffer]byte) }}

// Serve serves requests of nc until the connection ends or brings something
// unusual. In the latter case rest has the bytes that were read and not
// served, nil otherwise. The connection stays the caller's; ctx is the parent
// of its requests' contexts.
func (s *Server) Serve(ctx context.Context, nc net.Conn, phases Phases) (rest []byte) {
	ctx, cancel := context.WithCancel(ctx)
	c := &serverConn{s: s, nc: nc, phases: phases, cancel: cancel, pooled: serverBuffers.Get().(*[serverBuffer]byte)}
	c.buf = c.pooled[:]
	defer c.end()
	c.base = *(&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nc.RemoteAddr().String(),
	}).WithContext(ctx)
	for c.wait() {
		head, err := c.readHead()
		if err != nil {
			return nil // it ended, or said nothing for too long
		}
		req, why := c.parse(head)
		if req == nil {
			_ = nc.SetReadDeadline(time.Time{}) // if it fails so does what follows
			return append([]byte(nil), c.buf[c.r:c.w]...)
		}
		c.take(len(head))
		phases.Serving()
		if why != "" {
			c.refuse(req, why)
			return nil
		}
		if !c.exchange(req) {
			return nil
		}
		c.served++
	}
	return nil
}

// wait begins to wait for a request. It reports whether one may come.
func (c *serverConn) wait() bool {
	c.since = time.Now()
	return c.phases.Waiting(c.since)
}

// end gives back what the connection held.
func (c *serverConn) end() {
	c.cancel()
	serverBuffers.Put(c.pooled)
}

// take drops the first n bytes of the buffer, and the buffer if it is large and
// nothing else is in it.
func (c *serverConn) take(n int) {
	if c.r += n; c.w-c.r <= serverBuffer && len(c.buf) > serverBuffer {
		c.w = copy(c.pooled[:], c.buf[c.r:c.w])
		c.buf, c.r = c.pooled[:], 0
	}
}

// room makes room for more bytes in the buffer. It reports false if limit bytes
// are in it.
func (c *serverConn) room(limit int) bool {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w < len(c.buf):
	case c.r > 0:
		c.r, c.w = 0, copy(c.buf, c.buf[c.r:c.w])
	case c.w >= limit:
		return false
	default:
		bigger := make([]byte, min(2*len(c.buf), max(limit, serverBuffer)))
		copy(bigger, c.buf)
		c.buf = bigger
	}
	return c.w-c.r < limit
}

// readHead returns the next head with its empty line, or as much as is needed
// to see that it is unusual.
func (c *serverConn) readHead() ([]byte, error) {
	from := 0
	for {
		b := c.buf[c.r:c.w]
		end, next, ok := requestEnd(b, from)
		switch {
		case end > c.s.MaxHead:
			return nil, nil
		case end > 0 || !ok || !c.room(c.s.MaxHead):
			return b[:end], nil
		}
		from = next
		var err error
		if len(b) > 0 || c.served == 0 {
			err = c.readOn()
		} else {
			err = c.readNext()
		}
		if err != nil {
			return nil, err
		}
	}
}

// read reads more bytes into the buffer.
func (c *serverConn) read() error {
	n, err := c.nc.Read(c.buf[c.w:])
	if c.w += n; n > 0 {
		return nil
	}
	return err
}

// readOn reads on in a head, or the first bytes of a connection.
func (c *serverConn) readOn() error {
	if err := c.bind(c.since, c.s.HeadTimeout); err != nil {
		return err
	}
	return c.read()
}

// readNext reads the first bytes of a further request. To set the deadline for
// each of them would cost more than to look again when one has passed.
func (c *serverConn) readNext() error {
	wait := c.s.KeepAlive
	if c.bound.IsZero() || wait <= 0 || c.bound.After(c.since.Add(wait)) {
		if err := c.bind(c.since, wait); err != nil {
			return err
		}
	}
	for {
		err := c.read()
		if !errors.Is(err, os.ErrDeadlineExceeded) || wait <= 0 || time.Since(c.since) >= wait {
			if c.w > c.r {
				c.since = time.Now() // that of the head
			}
			return err
		}
		if err := c.bind(c.since, wait); err != nil {
			return err
		}
	}
}

// bind sets the deadline for reading; a wait of 0 is none.
func (c *serverConn) bind(since time.Time, wait time.Duration) error {
	if wait <= 0 {
		return c.unbind()
	}
	c.bound = since.Add(wait)
	return c.nc.SetReadDeadline(c.bound)
}

// unbind lifts the deadline for reading, also one that the connection has set
// by itself.
func (c *serverConn) unbind() error {
	c.bound = time.Time{}
	return c.nc.SetReadDeadline(time.Time{})
}

// exchange has a request served. It reports whether the connection may take
// another one.
func (c *serverConn) exchange(req *incoming) bool {
	if !req.body.done.Load() && c.unbind() != nil {
		return false
	}
	w := &response{c: c, req: req, closing: req.Close, header: make(http.Header, 8)}
	c.watch.begin(c, &req.body)
	ok := c.handle(w, req)
	if !req.body.end() {
		w.closing = true
	}
	c.watch.end(c)
	if ok {
		ok = w.finish() == nil
	}
	w.free()
	return ok && !w.closing && !c.watch.gone
}

// refuse has a request refused.
func (c *serverConn) refuse(req *incoming, why string) {
	w := &response{c: c, req: req, closing: true, header: make(http.Header, 8)}
	c.s.Refuse(w, &req.Request, why)
	_ = w.finish() // the connection ends either way
	w.free()
}

// handle calls the handler. It reports whether it returned.
func (c *serverConn) handle(w *response, req *incoming) (returned bool) {
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
			c.s.Logger.Error("panic in a request", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	c.s.Handler.ServeHTTP(w, &req.Request)
	return true
}
