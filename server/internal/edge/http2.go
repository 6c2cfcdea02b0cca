package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
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
		switch tooMany := hints.stop(); {
		case err == nil:
			return resp, nil
		case tooMany:
			return nil, fault.Wrap(err, fault.UpstreamInvalid, "it sent too many interim responses")
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
	n    int
	over bool
}

func (i *interimRelay) pass(code int, h textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.n++; i.n > i.x.h.limits.Interim {
		return errInterim
	}
	if !i.over && code != http.StatusContinue {
		i.x.Interim(code, http.Header(h))
	}
	return nil
}

// stop ends the passing on and reports whether there were too many.
func (i *interimRelay) stop() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	return i.n > i.x.h.limits.Interim
}

var errInterim = errors.New("too many interim responses")

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
	if x.sendsBody() {
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
