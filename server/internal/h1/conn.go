package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	headBuffer = 4 << 10
	// foreignLimit is how much of a response that is not HTTP is looked at.
	foreignLimit = 8 << 10
	// unboundedHead is the size from which a request head gets a write
	// deadline: below it, any stream's window takes the head at once.
	unboundedHead = 32 << 10
)

var headBuffers = sync.Pool{New: func() any { return new([headBuffer]byte) }}

// Conn sends requests over one connection, one at a time.
type Conn struct {
	conn   net.Conn
	cfg    *Config
	abort  func() // Abort, made once
	busy   bool
	served int

	// dead is set when the connection may not serve another exchange, ended
	// when its transport was closed or aborted.
	dead  atomic.Bool
	ended atomic.Bool

	pooled *[headBuffer]byte // the pooled array behind buf, or nil
	buf    []byte
	r, w   int // buf[r:w] was read and not used yet

	armed   time.Time    // when the read deadline was last set
	written atomic.Int64 // when a body byte was last sent, Unix nanoseconds
}

// NewConn returns a Conn over c, of which it takes ownership.
func (cl *Client) NewConn(c net.Conn) *Conn {
	conn := &Conn{conn: c, cfg: &cl.cfg}
	conn.abort = conn.Abort
	return conn
}

// Reusable reports whether another RoundTrip may be made: nothing is under
// way, all earlier exchanges ended by their framing with nothing left over, and
// nothing has come since, not even the end. The last can be told only of
// connections with a method Readable() bool, as multiplexed streams have.
func (c *Conn) Reusable() bool {
	if c.busy || c.dead.Load() {
		return false
	}
	if r, ok := c.conn.(interface{ Readable() bool }); ok && c.served > 0 && r.Readable() {
		c.dead.Store(true)
		return false
	}
	return true
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Close closes the connection. An exchange under way fails.
func (c *Conn) Close() error {
	c.dead.Store(true)
	if c.ended.Swap(true) {
		return nil
	}
	return c.conn.Close()
}

// Abort ends the connection in the middle of an exchange, so that the peer
// can tell it from a regular end. It may be called from any goroutine.
func (c *Conn) Abort() {
	c.dead.Store(true)
	if c.ended.Swap(true) {
		return
	}
	for below := c.conn; ; {
		if a, ok := below.(interface{ Abort() }); ok {
			a.Abort()
			return
		}
		wrapped, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			_ = c.conn.Close()
			return
		}
		below = wrapped.NetConn()
	}
}

// RoundTrip sends req and returns the response as soon as its head is
// complete. Until the response's Body has returned io.EOF or was closed, the
// connection is in use; the Body must be closed. When ctx ends before that,
// the connection is aborted.
//
// The response's Header has no Transfer-Encoding; Trailer is complete once
// Body returned io.EOF. After a 101, which is returned only for a request with
// Upgrade, Body is a *Switched.
//
// Errors are of type *Error, or ErrBusy.
func (c *Conn) RoundTrip(ctx context.Context, req *Request) (*http.Response, error) {
	if !c.Reusable() {
		return nil, ErrBusy
	}
	x := &exchange{c: c, req: req, ctx: ctx}
	inline, err := x.prepare()
	if err != nil {
		return nil, err // nothing was sent: the connection stays as it was
	}
	c.busy = true
	x.release = context.AfterFunc(ctx, c.abort)
	x.send(inline)
	if err := x.receive(); err != nil {
		return nil, x.fail(err)
	}
	return &x.resp, nil
}

// fill reads more bytes into the buffer, growing it up to limit.
func (c *Conn) fill(limit int) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.buf == nil {
		c.pooled = headBuffers.Get().(*[headBuffer]byte)
		c.buf = c.pooled[:]
	}
	if c.w == len(c.buf) {
		switch {
		case c.r > 0:
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		case len(c.buf) >= limit:
			return protocolError("head longer than %d bytes", limit)
		default:
			bigger := make([]byte, min(2*len(c.buf), max(limit, headBuffer)))
			copy(bigger, c.buf)
			c.freeBuffer()
			c.buf = bigger
		}
	}
	n, err := c.read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

func (c *Conn) freeBuffer() {
	if c.pooled != nil {
		headBuffers.Put(c.pooled)
		c.pooled = nil
	}
	c.buf = nil
}

// read reads from the connection under the idle limit.
func (c *Conn) read(p []byte) (int, error) {
	idle := c.cfg.Idle
	if idle < 0 {
		return c.conn.Read(p)
	}
	for {
		now := time.Now()
		if now.Sub(c.armed) > idle/8 {
			if err := c.conn.SetReadDeadline(now.Add(idle)); err != nil {
				return 0, err
			}
			c.armed = now
		}
		n, err := c.conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// Bytes sent count as activity too.
		last := time.Unix(0, c.written.Load())
		if time.Since(last) >= idle {
			return 0, err
		}
		if err := c.conn.SetReadDeadline(last.Add(idle)); err != nil {
			return 0, err
		}
		c.armed = last
	}
}

// failure turns an error of the transport into an *Error. begun says whether
// a byte of the response had arrived.
func failure(err error, begun bool) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Kind: Timeout, Err: err}
	case begun:
		if err == io.EOF { //nolint:errorlint // only the bare value is replaced
			err = io.ErrUnexpectedEOF
		}
		return &Error{Kind: Truncated, Err: err}
	}
	return &Error{Kind: Closed, Err: err}
}
