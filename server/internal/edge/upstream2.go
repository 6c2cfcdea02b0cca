package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// h2Conn is the HTTP/2 connection of one public connection to one member. It
// carries any number of its requests at a time.
type h2Conn struct {
	mu     sync.Mutex // held while dialling
	client *http.ClientConn
	below  *recordConn
}

// close ends the connection. Requests on it fail.
func (c *h2Conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		_ = c.client.Close()
	}
}

// ended reports whether the connection is over.
func (c *h2Conn) ended() bool {
	if !c.mu.TryLock() {
		return false // being dialled
	}
	defer c.mu.Unlock()
	return c.client != nil && c.client.Err() != nil
}

// slot2 returns the place of the connection to ep, nil if the set is closed.
func (s *upstreamSet) slot2(ep *route.Endpoint) *h2Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	c := s.h2[ep]
	if c == nil {
		if s.h2 == nil {
			s.h2 = make(map[*route.Endpoint]*h2Conn)
		}
		for other, c := range s.h2 {
			if c.ended() { // its endpoint may be long gone
				delete(s.h2, other)
			}
		}
		c = &h2Conn{}
		s.h2[ep] = c
	}
	return c
}

// client2 returns a working HTTP/2 connection to the member, and whether it
// was there already.
func (x *exchange) client2(ctx context.Context) (slot *h2Conn, client *http.ClientConn, kept bool, err error) {
	slot = x.cc.upstreams.slot2(x.ep)
	if slot == nil {
		return nil, nil, false, errClientGone
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.client != nil && slot.client.Err() == nil {
		return slot, slot.client, true, nil
	}
	c, err := x.dial(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	if p := x.prefix(); p != nil {
		if _, err := c.Write(p); err != nil {
			abort(c)
			return nil, nil, false, err
		}
	}
	below := &recordConn{Conn: c, decided: !x.ep.FaultRecord}
	if client, err = newClient2(ctx, below); err != nil {
		abort(c)
		return nil, nil, false, below.explain(err)
	}
	slot.client, slot.below = client, below
	return slot, client, false, nil
}

// newClient2 speaks HTTP/2 with prior knowledge over c.
func newClient2(ctx context.Context, c net.Conn) (*http.ClientConn, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	t := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return c, nil },
		Protocols:              &protocols,
		DisableCompression:     true,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		HTTP2:                  &http.HTTP2Config{MaxReadFrameSize: 32 << 10},
	}
	return t.NewClientConn(ctx, "http", "upstream:80")
}

// roundTrip2 sends the request over HTTP/2.
func (x *exchange) roundTrip2() (*http.Response, error) {
	for {
		slot, client, kept, err := x.client2(x.ctx)
		if err != nil {
			return nil, err
		}
		hints := &interimRelay{x: x}
		resp, err := client.RoundTrip(x.request2(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
			Got1xxResponse: hints.pass,
		})))
		hints.stop()
		if err == nil {
			return resp, nil
		}
		// A kept connection may have ended just now.
		if !kept || client.Err() == nil || !safe(x.r.Method) || !x.body.rewind() || x.ctx.Err() != nil {
			return nil, slot.explain(err)
		}
	}
}

// interimRelay passes interim responses on from the goroutine of the HTTP/2
// client, as long as the request waits for its answer.
type interimRelay struct {
	mu   sync.Mutex
	x    *exchange
	over bool
}

func (i *interimRelay) pass(code int, h textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.over && code != http.StatusContinue {
		i.x.interim(code, http.Header(h))
	}
	return nil
}

func (i *interimRelay) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}

// request2 is the request as HTTP/2 sends it.
func (x *exchange) request2(ctx context.Context) *http.Request {
	u := &url.URL{Scheme: "http", Host: x.r.Host, Opaque: x.target}
	if strings.HasPrefix(x.target, "//") || x.target == "*" {
		*u = *x.r.URL // the opaque form would be taken for an authority
		u.Scheme, u.Host = "http", x.r.Host
	}
	req := &http.Request{
		Method: x.r.Method, URL: u, Host: x.r.Host, Header: x.r.Header, Proto: "HTTP/2.0", ProtoMajor: 2,
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // nothing is added for who sent none
	}
	if x.expect {
		req.Header["Expect"] = []string{"100-continue"}
	}
	if x.body != nil {
		req.Body, req.ContentLength = x.body, x.body.length
		req.Trailer = x.body.trailer
	}
	return req.WithContext(ctx)
}

// explain replaces the error of an exchange by the fault that the agent
// reported, if it did.
func (c *h2Conn) explain(err error) error {
	c.mu.Lock()
	below := c.below
	c.mu.Unlock()
	return below.explain(err)
}

// recordConn looks whether a connection begins with the record that our agent
// sends when it cannot reach its upstream.
type recordConn struct {
	net.Conn

	fault atomic.Pointer[fault.Error] // what the record says

	mu      sync.Mutex // held while looking, which may take long
	decided bool
	head    []byte // read while looking and not handed out
	err     error  // that ended looking
}

// recordWait is how long a failed write waits for the record that may explain
// it.
const recordWait = time.Second

// Read reads from the connection. A record is its end.
func (c *recordConn) Read(p []byte) (int, error) {
	if n, err := c.looked(p); n > 0 || err != nil {
		return n, err
	}
	return c.Conn.Read(p)
}

// looked returns what came of looking: bytes to hand out, or the end.
func (c *recordConn) looked(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide()
	if f := c.fault.Load(); f != nil {
		return 0, f
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return 0, c.err
}

// decide reads until it is clear whether a record has come.
func (c *recordConn) decide() {
	if c.decided {
		return
	}
	b := make([]byte, wire.MaxFaultRecord)
	n := 0
	for !c.decided {
		m, err := c.Conn.Read(b[n:])
		n += m
		f, _, perr := wire.ParseFault(b[:n])
		if c.err = err; perr == nil {
			c.fault.Store(f)
		}
		c.decided = !errors.Is(perr, wire.ErrNeedMore) || err != nil || n == len(b)
	}
	c.head = b[:n:n]
}

// Write writes to the connection. If it fails, the agent may have said why.
func (c *recordConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(recordWait)) // bounds a Read under way too
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide()
	if f := c.fault.Load(); f != nil {
		err = f
	}
	return n, err
}

// explain replaces the error of an exchange by the fault that the agent
// reported, if it did.
func (c *recordConn) explain(err error) error {
	if f := c.fault.Load(); f != nil {
		return f
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(err, fault.UpstreamInvalid, "the connection ended before an answer")
	}
	return err
}
