package sniff

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
)

// firstRead is the size of the buffer that reading ahead starts with. Most
// ClientHellos with a hybrid key share fit.
const firstRead = 2 << 10

// Conn is a connection whose first bytes can be looked at before they are
// read. Its zero value with Conn set is ready for use, so that it can be
// embedded; use it by pointer.
type Conn struct {
	net.Conn
	// ahead holds the bytes read and not yet given out.
	ahead []byte
	// socket is the way to a Conn that is one.
	socket socket
}

// Read gives out what was read ahead before anything new.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.socket.read(c.Conn, p)
	}
	n := copy(p, c.ahead)
	c.Discard(n)
	return n, nil
}

// Write writes to the connection.
func (c *Conn) Write(p []byte) (int, error) { return c.socket.write(c.Conn, p) }

// CloseWrite closes the sending half of the connection.
func (c *Conn) CloseWrite() error { return netx.CloseWrite(c.Conn) }

// NetConn returns the connection below. It lacks the bytes read ahead; see
// Detach.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Ahead returns the bytes read ahead. They are valid until the next call.
func (c *Conn) Ahead() []byte { return c.ahead }

// Discard drops the first n of the bytes read ahead.
func (c *Conn) Discard(n int) {
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil
	}
}

// Detach returns the connection below and the bytes read ahead, which are the
// caller's to serve from now on.
func (c *Conn) Detach() (below net.Conn, ahead []byte) {
	ahead, c.ahead = c.ahead, nil
	return c.Conn, ahead
}

// more reads once into the buffer, which then has at most limit bytes. It
// returns io.ErrUnexpectedEOF if the connection ends after it has begun.
func (c *Conn) more(limit int) error {
	n := len(c.ahead)
	if n >= limit {
		return ErrTooLarge
	}
	if n == cap(c.ahead) {
		grown := make([]byte, n, min(max(firstRead, 2*n), limit))
		copy(grown, c.ahead)
		c.ahead = grown
	}
	m, err := c.Conn.Read(c.ahead[n:min(cap(c.ahead), limit)])
	c.ahead = c.ahead[:n+m]
	if m > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) && n > 0 {
		return io.ErrUnexpectedEOF
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// ErrTooLarge reports that what a connection begins with is larger than this
// package reads ahead.
var ErrTooLarge = errors.New("sniff: too many bytes")

// ProxyHeader reads a PROXY header and takes it off the connection. The
// connection has to begin with one. The deadline bounds the wait; it is lifted
// before ProxyHeader returns.
func (c *Conn) ProxyHeader(deadline time.Time) (proxyproto.Header, error) {
	var h proxyproto.Header
	err := c.until(deadline, func() error {
		var n int
		var err error
		if h, n, err = proxyproto.Parse(c.ahead); err == nil {
			c.Discard(n)
		}
		if errors.Is(err, proxyproto.ErrNeedMore) {
			return errNeedMore
		}
		return err
	}, proxyproto.MaxV2)
	return h, err
}

// Protocol tells what the connection begins with, once enough bytes came. The
// bytes stay. The deadline bounds the wait; it is lifted before Protocol
// returns.
func (c *Conn) Protocol(deadline time.Time) (Protocol, error) {
	var p Protocol
	err := c.until(deadline, func() error {
		var known bool
		if p, known = ProtocolOf(c.ahead); !known {
			return errNeedMore
		}
		return nil
	}, firstRead)
	return p, err
}

// ClientHello reads the TLS ClientHello that the connection begins with. The
// bytes stay for the handshake. Errors that are not those of the connection
// wrap ErrNotTLS, ErrHello or ErrTooLarge. The deadline bounds the wait; it is
// lifted before ClientHello returns.
func (c *Conn) ClientHello(deadline time.Time) (Hello, error) {
	var r helloReader
	var h Hello
	err := c.until(deadline, func() error {
		var err error
		h, err = r.read(c.ahead)
		return err
	}, maxHelloBytes)
	return h, err
}

// until calls try, first with what is there, and then after each read until it
// returns something other than errNeedMore.
func (c *Conn) until(deadline time.Time, try func() error, limit int) error {
	armed := false
	for {
		err := errNeedMore
		if len(c.ahead) > 0 {
			err = try()
		}
		if !errors.Is(err, errNeedMore) {
			if armed {
				err = errors.Join(err, c.Conn.SetReadDeadline(time.Time{}))
			}
			return err
		}
		if !armed {
			if err := c.Conn.SetReadDeadline(deadline); err != nil {
				return err
			}
			armed = true
		}
		if err := c.more(limit); err != nil {
			return err
		}
	}
}

// errNeedMore asks for more bytes.
var errNeedMore = errors.New("sniff: need more bytes")
