package edge

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/h1"
	"github.com/culvert-project/culvert/server/internal/route"
)

const (
	// idleUpstream is how long a connection is kept for the next request of
	// the same client: less than any common server's keep-alive limit.
	idleUpstream = 3 * time.Second
	// maxIdleUpstream bounds the connections kept for one client: as many as
	// an HTTP/2 connection has requests at once, or some were dialled anew for
	// each of them.
	maxIdleUpstream = 100
	// retries, retryDelay: an agent whose queue was full at the moment gets
	// the stream again after a short and growing delay.
	retries    = 5
	retryDelay = 10 * time.Millisecond
	// youngBind is how long after a bind the agent may not know of it yet.
	youngBind = time.Second
)

// upstream is a connection to a member that can be kept.
type upstream struct {
	ep   *route.Endpoint
	conn *h1.Conn
}

// upstreamSet holds the upstream connections of one public connection. The
// agent was told that client's address for them, so nobody else may use them.
// The zero value is ready.
type upstreamSet struct {
	mu     sync.Mutex
	closed bool
	idle   []idleConn
	sweep  *time.Timer // nil while idle is empty
	h2     map[*route.Endpoint]*h2Conn
}

type idleConn struct {
	upstream
	since time.Time
}

// take returns a kept connection to ep, the zero value if there is none.
func (s *upstreamSet) take(ep *route.Endpoint) upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.idle) - 1; i >= 0; i-- {
		up := s.idle[i].upstream
		if up.ep != ep {
			continue
		}
		last := len(s.idle) - 1
		s.idle[i] = s.idle[last]
		s.idle[last] = idleConn{}
		s.idle = s.idle[:last]
		if up.conn.Reusable() {
			return up
		}
		_ = up.conn.Close()
	}
	return upstream{}
}

// put keeps a connection if it can be used again, and closes it otherwise.
func (s *upstreamSet) put(up upstream) {
	if !up.conn.Reusable() || !s.keep(up) {
		_ = up.conn.Close()
	}
}

func (s *upstreamSet) keep(up upstream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdleUpstream {
		return false
	}
	s.idle = append(s.idle, idleConn{up, time.Now()})
	if s.sweep == nil {
		s.sweep = time.AfterFunc(idleUpstream, s.expire)
	}
	return true
}

// expire closes what has been idle for long, and comes back for the rest.
func (s *upstreamSet) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	kept := s.idle[:0]
	next := idleUpstream
	for _, c := range s.idle {
		if age := now.Sub(c.since); age < idleUpstream {
			kept = append(kept, c)
			next = min(next, idleUpstream-age)
			continue
		}
		_ = c.conn.Close()
	}
	clear(s.idle[len(kept):])
	s.idle = kept
	if s.sweep = nil; len(kept) > 0 && !s.closed {
		s.sweep = time.AfterFunc(next, s.expire)
	}
}

// Close closes all connections that are kept. Those in use end with their
// requests.
func (s *upstreamSet) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sweep != nil {
		s.sweep.Stop()
		s.sweep = nil
	}
	for _, c := range s.idle {
		_ = c.conn.Close()
	}
	s.idle = nil
	for _, c := range s.h2 {
		c.close()
	}
	s.h2 = nil
}

// dial opens a stream to the member for this public connection.
func (x *exchange) dial(ctx context.Context) (net.Conn, error) {
	c, err := x.ep.Upstream.Dial(ctx, wire.ProxyHeader{
		ClientAddr: x.cc.remote.String(),
		Proto:      string(x.cc.scheme),
		EdgeType:   wire.EdgeUndefined,
	})
	if err == nil {
		countTo(c, x.payer())
		return c, nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok || ctx.Err() != nil {
		return nil, err
	}
	return nil, fault.Wrap(err, fault.AgentUnreachable, x.url())
}

// prefix is what goes ahead of the first request on a connection.
func (x *exchange) prefix() []byte {
	if x.ep.ProxyProto == 0 {
		return nil
	}
	return proxyproto.Append(nil, x.ep.ProxyProto, x.cc.remote, x.cc.local)
}

// roundTrip1 sends the request over HTTP/1.1, on a kept connection if there is
// one.
func (x *exchange) roundTrip1(upgrade string) (*http.Response, upstream, error) {
	ctx := x.ctx
	req := x.request1(upgrade)
	var last error // of the attempt before
	for attempt := 0; ; attempt++ {
		up := x.cc.upstreams.take(x.ep)
		kept := up.conn != nil
		req.Prefix = nil
		if !kept {
			c, err := x.dial(ctx)
			if err != nil {
				// Where something was sent before, this is not a request that no
				// member has seen: it goes to no other one.
				return nil, up, cmp.Or(last, err)
			}
			client := x.h.plain
			if x.ep.FaultRecord {
				client = x.h.records
			}
			up = upstream{x.ep, client.NewConn(c)}
			req.Prefix = x.prefix()
		}
		resp, err := up.conn.RoundTrip(ctx, req)
		if err == nil {
			x.filled = req.Response != nil
			return resp, up, nil
		}
		last = err
		_ = up.conn.Close()
		if !x.mayRetry(err, kept, attempt) || !x.body.rewind() {
			return nil, up, err
		}
		if !kept && !backoff.Sleep(ctx, retryDelay<<attempt) {
			return nil, up, err
		}
	}
}

// request1 is the request as HTTP/1.1 sends it.
func (x *exchange) request1(upgrade string) *h1.Request {
	req := &x.req
	*req = h1.Request{
		Method: x.r.Method, Target: x.target, Host: x.r.Host, Header: x.r.Header,
		Expect: x.expect, Upgrade: upgrade, Interim: x,
	}
	if x.inner == nil {
		req.Response = x.w.Header()
	}
	if x.sendsBody() {
		req.Body, req.ContentLength, req.StopBody = x.body, x.body.length, x.body.stop
		req.Trailer = x.body.trailer
	}
	return req
}

// mayRetry decides whether a request that got no byte of an answer is sent
// again to the same member. It never is after the agent may have acted on it,
// unless its method is safe and a kept connection has just ended.
func (x *exchange) mayRetry(err error, kept bool, attempt int) bool {
	if h1.KindOf(err) != h1.Closed || attempt >= retries || x.ctx.Err() != nil {
		return false
	}
	if kept {
		return safe(x.r.Method)
	}
	if se, ok := errors.AsType[*mux.StreamError](err); ok {
		return se.Remote && se.Code == frame.AcceptQueueFull
	}
	return errors.Is(err, io.EOF) && time.Since(x.ep.BoundAt) < youngBind
}

// safe reports whether a request may be made twice (RFC 9110 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}
