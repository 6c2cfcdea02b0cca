package culvert

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// EndpointListener is an endpoint that is used as a net.Listener.
type EndpointListener interface {
	Endpoint
	// Accept waits for the next connection. With agent TLS termination the
	// handshake happens at the connection's first Read or Write. It returns
	// an error as soon as no more connections are taken, when those that were
	// accepted may still go on.
	Accept() (net.Conn, error)
	// Addr returns the endpoint's public address; its String is the host and
	// port of the URL.
	Addr() net.Addr
}

// listener implements EndpointListener.
type listener struct {
	*endpoint
	queue   chan *Conn
	waiting atomic.Int32
}

func newListener(e *endpoint) *listener {
	l := &listener{endpoint: e, queue: make(chan *Conn)}
	e.public = l
	e.take = l.offer
	return l
}

// offer waits until the application accepts the connection. Those that wait
// are bounded; the server tries others again.
func (l *listener) offer(c *Conn) {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > maxWaiting {
		c.refuse(frame.AcceptQueueFull)
		return
	}
	select {
	case l.queue <- c:
	case <-l.closing:
		c.refuse(frame.StreamRefused)
	case <-c.link.mux.Done():
		_ = c.Close() // never fails
	}
}

// Accept implements EndpointListener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		if l.opts.agentTLS != nil {
			return tls.Server(c, l.opts.agentTLS), nil
		}
		return c, nil
	case <-l.closing:
		return nil, l.acceptError()
	}
}

// Addr implements EndpointListener.
func (l *listener) Addr() net.Addr { return endpointAddr(l.URL().Host) }

// endpointAddr is the public address of an endpoint.
type endpointAddr string

func (endpointAddr) Network() string  { return "tcp" }
func (a endpointAddr) String() string { return string(a) }

// Conn is one connection of an endpoint. Listeners return it, or a TLS
// connection over it.
type Conn struct {
	endpoint *endpoint
	link     *link
	stream   *mux.Stream
	header   wire.ProxyHeader
	since    time.Time
	in, out  atomic.Int64
	ended    sync.Once
	observer atomic.Pointer[observer] // nil unless HTTP is looked at
}

// Endpoint returns the endpoint that the connection came in by.
func (c *Conn) Endpoint() Endpoint { return c.endpoint.public }

// Proto returns the protocol of the endpoint: http, https, tcp or tls.
func (c *Conn) Proto() string { return c.header.Proto }

// PassthroughTLS tells whether the bytes are the client's TLS.
func (c *Conn) PassthroughTLS() bool { return c.header.PassthroughTLS }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	c.in.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.stream.Write(b)
	c.out.Add(int64(n))
	return n, err
}

// WriteTo implements io.WriterTo, with one copy less than Read.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	n, err := c.stream.WriteTo(w)
	c.in.Add(n)
	return n, err
}

// Close ends the connection: the client gets what was written, then the end.
func (c *Conn) Close() error {
	err := c.stream.Close()
	c.end()
	return err
}

// CloseWrite ends the sending half alone.
func (c *Conn) CloseWrite() error { return c.stream.CloseWrite() }

// refuse gives the connection back to the server.
func (c *Conn) refuse(code frame.ErrorCode) {
	c.stream.Reset(code)
	c.end()
}

func (c *Conn) end() { c.ended.Do(func() { c.endpoint.finished(c) }) }

// LocalAddr returns the endpoint's public address.
func (c *Conn) LocalAddr() net.Addr { return endpointAddr(c.endpoint.URL().Host) }

// RemoteAddr returns the address of the public client: a *net.TCPAddr if the
// server sent one that can be read.
func (c *Conn) RemoteAddr() net.Addr {
	ap, err := netip.ParseAddrPort(c.header.ClientAddr)
	if err != nil {
		return endpointAddr(c.header.ClientAddr)
	}
	return net.TCPAddrFromAddrPort(ap)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.stream.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
