package h1

import (
	"net"
	"net/http"
	"time"
)

// switchProtocols turns the exchange into a byte stream.
func (x *exchange) switchProtocols(l statusLine, h http.Header) error {
	if x.req.Upgrade == "" || !hasToken(h["Upgrade"], x.req.Upgrade) {
		return protocolError("unasked switch to protocol %.40q", h["Upgrade"])
	}
	c := x.c
	s := &Switched{x: x, conn: c.conn, head: append([]byte(nil), c.buf[c.r:c.w]...)}
	c.r, c.w = 0, 0
	c.freeBuffer()
	c.dead.Store(true)
	if c.cfg.Idle > 0 {
		_ = c.conn.SetReadDeadline(time.Time{})
	}
	x.resp = http.Response{
		Status: l.status, StatusCode: l.code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: s, ContentLength: -1,
	}
	return nil
}

// Switched is the Body of a 101 response: the connection after the switch. It
// reads first what arrived together with the head.
type Switched struct {
	x    *exchange
	conn net.Conn
	head []byte
}

// Read reads what the server sends in the new protocol.
func (s *Switched) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	return s.conn.Read(p)
}

// Write sends in the new protocol.
func (s *Switched) Write(p []byte) (int, error) { return s.conn.Write(p) }

// Close closes the connection.
func (s *Switched) Close() error {
	s.x.release()
	return s.x.c.Close()
}

// Take hands the connection over with the bytes already read from it. From
// then on the caller owns it, and the end of the request's context no longer
// touches it.
func (s *Switched) Take() (c net.Conn, head []byte) {
	s.x.release()
	s.x.c.ended.Store(true)
	return s.conn, s.head
}
