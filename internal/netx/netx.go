package netx

import (
	"net"
)

// CloseWriter is a connection whose sending half can be closed alone, such as
// *net.TCPConn, *tls.Conn and a multiplexed stream.
type CloseWriter interface {
	CloseWrite() error
}

// CloseWrite closes the sending half of c, or the whole of c where it has no
// halves.
func CloseWrite(c net.Conn) error {
	if cw, ok := c.(CloseWriter); ok {
		return cw.CloseWrite()
	}
	return c.Close()
}

// prefixed is a connection that first replays bytes read from it earlier.
type prefixed struct {
	net.Conn
	head []byte
}

// Prefixed returns a connection that reads b first and then what c still has.
// It takes ownership of b. Half-close and NetConn work as on c.
func Prefixed(c net.Conn, b []byte) net.Conn {
	if len(b) == 0 {
		return c
	}
	return &prefixed{Conn: c, head: b}
}

// Read returns the replayed bytes before anything new.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.head)
	p.head = p.head[n:]
	if len(p.head) == 0 {
		p.head = nil
	}
	return n, nil
}

// CloseWrite closes the sending half of the wrapped connection.
func (p *prefixed) CloseWrite() error { return CloseWrite(p.Conn) }

// NetConn returns the wrapped connection. Bytes not yet replayed stay here.
func (p *prefixed) NetConn() net.Conn { return p.Conn }

// Buffered takes the bytes not yet replayed off a connection made by Prefixed
// and returns the connection below it, so that a copying loop can read the
// transport directly. For any other connection it returns c itself.
func Buffered(c net.Conn) (below net.Conn, head []byte) {
	var all []byte
	for {
		p, ok := c.(*prefixed)
		if !ok {
			return c, all
		}
		all = append(all, p.head...)
		p.head = nil
		c = p.Conn
	}
}

// Innermost follows NetConn down to the connection that has none.
func Innermost(c net.Conn) net.Conn {
	for range 8 { // deeper than any nesting that makes sense
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = below.NetConn()
	}
	return c
}

// CutOff closes c so that its peer can tell it from a regular end: over TCP by
// a reset, over TLS without a goodbye.
func CutOff(c net.Conn) error {
	inner := Innermost(c)
	if t, ok := inner.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0) // a failure leaves the regular end
	}
	err := inner.Close()
	if inner != c {
		_ = c.Close() // has its own state to end; the transport is gone
	}
	return err
}
