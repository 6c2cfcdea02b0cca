package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

const (
	// maxHops is how many internal endpoints a request or connection may be
	// forwarded to, one behind the other (endpoints.md 10.4).
	maxHops = 10
	// maxReplay is how much of a body is kept so that it can be sent again to
	// another endpoint (endpoints.md 10.5).
	maxReplay = 1 << 20
)

// inner is what a policy has forwarded a request to.
type inner struct {
	of   *exchange // that of the policy
	to   endpoint.URL
	hops int
	// calls is how many of the hops were requests that policies made of their
	// own; call says that the last one was.
	calls int
	call  bool
}

// Forwarder is the policy.Forwarder for what an edge serves. It finds all it
// needs in the context that the edge runs policies with.
type Forwarder struct{}

// Forward implements policy.Forwarder. It fails with fault.EndpointOffline if
// the account has no such internal endpoint, with fault.ForwardTooLong for a
// chain that does not end, and with the faults of upstreams.
func (Forwarder) Forward(ctx context.Context, px *policy.Exchange, to endpoint.URL) error {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.forwardInside(px, to) //nolint:contextcheck // the exchange has it
	}
	if c, ok := ctx.Value(connectKey{}).(*connecting); ok {
		return c.forward(ctx, px, to)
	}
	return fault.New(fault.EndpointOffline, to.String())
}

// internalPool finds an internal endpoint of an account. Without a port http
// and https stand for each other.
func internalPool(t *route.Table, account string, to endpoint.URL) *route.Pool {
	u := to.WithDefaults()
	if p := t.LookupAccount(account, endpoint.Internal, u.Scheme, u.Host, u.Port); p != nil {
		return p
	}
	if to.Port != 0 {
		return nil
	}
	switch to.Scheme {
	case endpoint.HTTP:
		return t.LookupAccount(account, endpoint.Internal, endpoint.HTTPS, u.Host, endpoint.HTTPS.DefaultPort())
	case endpoint.HTTPS:
		return t.LookupAccount(account, endpoint.Internal, endpoint.HTTP, u.Host, endpoint.HTTP.DefaultPort())
	default:
		return nil
	}
}

// lookInside sets the member of the internal endpoint.
func (x *exchange) lookInside(t *route.Table) error {
	pool := internalPool(t, x.inner.of.ep.Account, x.inner.to)
	if pool == nil {
		return fault.New(fault.EndpointOffline, x.inner.to.String())
	}
	if mixed(pool.Members()) {
		return fault.New(fault.MixedPool, x.inner.to.String())
	}
	x.ep = pool.Pick()
	return nil
}

// forwardInside hands the request to an internal endpoint and sets the response
// of px to what comes back.
func (x *exchange) forwardInside(px *policy.Exchange, to endpoint.URL) error {
	hops := 1
	if x.inner != nil {
		hops = x.inner.hops + 1
	}
	switch {
	case hops > maxHops:
		return errHops()
	case !to.Scheme.IsHTTP():
		return fault.New(fault.EndpointOffline, to.String())
	case x.run.stuck != nil:
		return x.run.stuck
	}
	if err := x.adopt(); err != nil {
		return err
	}
	child, kept := x.child(to, hops)
	resp, err := child.answer() //nolint:bodyclose // whoever delivers the response of px does
	if err == nil {
		px.UpstreamDone(resp.StatusCode, nil)
		px.Response = resp
		return nil
	}
	if kept != nil {
		x.takeBack(kept, err)
	}
	return err
}

// child is the exchange with an internal endpoint, on a copy of the request:
// another endpoint may get it afterwards.
func (x *exchange) child(to endpoint.URL, hops int) (*exchange, *keptRequest) {
	r := x.r.WithContext(x.ctx)
	u := *x.r.URL
	r.URL, r.Header = &u, x.r.Header.Clone()
	c := &exchange{
		h: x.h, w: x.w, r: r, cc: x.cc, ctx: x.ctx, host: x.host, target: x.target, expect: x.expect,
		inner: &inner{of: x, to: to, hops: hops, calls: x.calls()}, id: x.requestID(),
	}
	if !x.sendsBody() {
		r.Body = http.NoBody
		return c, nil
	}
	kept := &keptRequest{from: x.body}
	c.body = &requestBody{src: io.NopCloser(kept), rc: x.body.rc, length: x.body.length, trailer: x.body.trailer, of: x.body}
	r.Body = clientBody{c.body}
	return c, kept
}

// answer has the internal endpoint answer: its policy in full, and its upstream.
// What its policy refuses is an answer too; the fault of an upstream is none.
func (x *exchange) answer() (*http.Response, error) {
	if err := x.look(); err != nil {
		return nil, err
	}
	if x.ep.Policy == nil {
		resp, up, err := x.ask()
		if err != nil {
			return nil, err
		}
		if up.conn != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			resp.Body = &keptBody{ReadCloser: resp.Body, x: x, up: up}
		}
		return resp, nil
	}
	resp, origin, err := x.requestPhase()
	if err == nil {
		resp, err = x.responsePhase(resp, origin)
	}
	if x.run != nil {
		x.inner.of.run.px.AddLogs(x.run.px.Logs, x.run.px.Disclosed)
	}
	if err == nil {
		x.run.px.UpstreamDone(0, nil)
		return resp, nil
	}
	x.endRun()
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Status < 500 && f.Code != fault.EndpointOffline {
		return x.page(f), nil
	}
	return nil, err
}

// page is the answer with a fault as a value.
func (x *exchange) page(f *fault.Error) *http.Response {
	f = x.redacted(f)
	p := &pageWriter{header: make(http.Header)}
	writeFault(p, x.r, f, x.requestID())
	resp := policy.NewResponse(x.r, p.status, "")
	resp.Header = p.header
	delete(resp.Header, "Date")
	resp.Body, resp.ContentLength = io.NopCloser(&p.body), int64(p.body.Len())
	return resp
}

// pageWriter keeps what is written.
type pageWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *pageWriter) Header() http.Header         { return p.header }
func (p *pageWriter) WriteHeader(status int)      { p.status = status }
func (p *pageWriter) Write(b []byte) (int, error) { return p.body.Write(b) }

// keptRequest is a request body that is kept, to a bound, while it is sent.
type keptRequest struct {
	from  *requestBody
	bytes []byte
	over  bool // more was read than is kept
	ended bool
}

// Read reads on and keeps it.
func (k *keptRequest) Read(p []byte) (int, error) {
	n, err := k.from.Read(p)
	k.ended = k.ended || err == io.EOF //nolint:errorlint // the regular end of a body is the bare value
	if k.over = k.over || len(k.bytes)+n > maxReplay; k.over {
		k.bytes = nil
	} else {
		k.bytes = append(k.bytes, p[:n]...)
	}
	return n, err
}

// takeBack prepares the body for another endpoint after one has failed.
func (x *exchange) takeBack(k *keptRequest, failed error) {
	switch b := x.body; {
	case k.over || b.stopped.Load() && !b.done.Load():
		x.run.stuck = failed
	case len(k.bytes) == 0 && !k.ended:
	default:
		var rest io.Reader = bytes.NewReader(k.bytes)
		if !k.ended && int64(len(k.bytes)) != b.length {
			rest = io.MultiReader(rest, unread{b, b.instead})
		}
		b.small, b.instead = nil, rest
		x.r.Body, x.r.ContentLength = io.NopCloser(rest), b.length
	}
}

// unread is what nobody has read yet of a body.
type unread struct {
	b    *requestBody
	from io.Reader // nil for the client
}

func (u unread) Read(p []byte) (int, error) {
	if u.from != nil {
		return u.from.Read(p)
	}
	return u.b.read(p)
}

// connectKey is the key of a connection in the context of its connect phase.
type connectKey struct{}

// connecting is a connection in its connect phase.
type connecting struct {
	router   *route.Router
	services policy.Services
	hops     int
}

// forward finds the internal endpoint that a connection goes on to, and runs
// its connect phase.
func (c *connecting) forward(ctx context.Context, px *policy.Exchange, to endpoint.URL) error {
	if c.hops >= maxHops {
		return errHops()
	}
	if to.Scheme.IsHTTP() || px.Endpoint.URL.Scheme.IsHTTP() {
		return fault.New(fault.EndpointOffline, to.String())
	}
	pool := internalPool(c.router.Table(), px.Endpoint.Account, to)
	if pool == nil {
		return fault.New(fault.EndpointOffline, to.String())
	}
	conn := px.Conn.Fresh()
	next := &connecting{router: c.router, services: c.services, hops: c.hops + 1}
	ep, err := connectPhase(context.WithValue(ctx, connectKey{}, next), pool.Pick(), conn, c.services)
	px.AddLogs(conn.Logs, conn.Disclosed)
	if err != nil {
		return err
	}
	if px.Conn.Terminate == nil {
		px.Conn.Terminate = conn.Terminate
	}
	px.Conn.Target = ep
	return nil
}
