package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/h1"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// run is the passage of a request through the policy of its endpoint.
type run struct {
	// program is that with which the request began.
	program *policy.Program
	px      *policy.Exchange
	ctx     policyContext
	// host and url are what the client asked for.
	host string
	url  url.URL
	// upstream is the answer of the upstream, nil before and without one, and
	// body its body.
	upstream *http.Response
	body     keptBody
	// stuck is why no further endpoint may be tried: a part of the body is
	// gone.
	stuck error
}

// exchangeKey is the key of the exchange in the context of its policy.
type exchangeKey struct{}

// policyContext is the context of a policy's actions.
type policyContext struct {
	context.Context //nolint:containedctx // it is one
	x               *exchange
}

// Value has the exchange besides what the context has.
func (c *policyContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
}

// govern serves a request whose endpoint has a policy.
func (x *exchange) govern() error {
	defer x.endRun()
	resp, origin, err := x.requestPhase() //nolint:bodyclose // deliver does
	if err != nil {
		return err
	}
	if resp, err = x.responsePhase(resp, origin); err != nil { //nolint:bodyclose // as above
		return err
	}
	return x.deliver(resp)
}

// endRun tells the policy that the exchange is over, and lets go of an
// upstream that nobody did.
func (x *exchange) endRun() {
	if x.run == nil {
		return
	}
	x.run.px.UpstreamDone(0, nil)
	if r := x.run.px.Response; r != nil && r.Body != nil {
		_ = r.Body.Close() // it is not wanted any more
	}
}

// begin prepares the request for the policy.
func (x *exchange) begin() error {
	r := x.r
	conn, err := x.meet()
	if err != nil {
		return err
	}
	px := policy.NewExchange(x.ep.Policy.Env(), conn)
	px.Endpoint, px.Services = x.cc.endpointOf(x.ep), x.h.services
	px.Request, px.Received = r, time.Now()
	if !x.called() {
		r.URL.Scheme, r.URL.Host = string(x.cc.scheme), r.Host
	}
	px.OriginalURL = r.URL.Scheme + "://" + r.Host + x.target
	x.run = &run{program: x.ep.Policy, px: px, host: r.Host, url: *r.URL}
	if x.called() {
		return nil
	}
	if x.inner != nil {
		px.OriginalURL = x.inner.of.run.px.OriginalURL
		px.Removed = append(px.Removed, x.inner.of.run.px.Removed...)
		px.BodyReceived = x.inner.of.run.px.BodyReceived
		x.run.host = x.inner.of.run.host
		return nil
	}
	x.expect = x.expects()
	if err := x.openBody(); err != nil {
		return err
	}
	if x.body != nil {
		r.Body = clientBody{x.body}
		px.BodyReceived = x.body.receivedAt
	}
	return nil
}

// receivedAt returns when the last byte had come, the zero time before.
func (b *requestBody) receivedAt() time.Time {
	if at := b.arrived.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// clientBody is the body of a request as its policy sees it.
type clientBody struct{ of *requestBody }

func (b clientBody) Read(p []byte) (int, error) { return b.of.read(p) }

// Close does nothing: the body is the server's.
func (clientBody) Close() error { return nil }

// namedEndpoint is an endpoint as its policy knows it.
type namedEndpoint struct {
	ep *route.Endpoint
	as policy.Endpoint
}

// endpointOf returns what a policy may know of its endpoint. The last one is
// remembered: most connections have a single one.
func (c *clientConn) endpointOf(ep *route.Endpoint) policy.Endpoint {
	if last := c.lastNamed.Load(); last != nil && last.ep == ep {
		return last.as
	}
	as := policyEndpoint(ep)
	c.lastNamed.Store(&namedEndpoint{ep, as})
	return as
}

// policyEndpoint is what a policy may know of its endpoint.
func policyEndpoint(ep *route.Endpoint) policy.Endpoint {
	return policy.Endpoint{ID: ep.ID, Account: ep.Account, URL: ep.Key.URL, Name: ep.Account + " " + string(ep.Key.Binding) + " " + ep.Key.URL.String()}
}

// requestPhase runs on_http_request and, unless it answers, asks the upstream.
func (x *exchange) requestPhase() (*http.Response, policy.Origin, error) {
	if err := x.begin(); err != nil {
		return nil, 0, err
	}
	px := x.run.px
	x.run.ctx = policyContext{x.ctx, x}
	v, err := x.run.program.Run(&x.run.ctx, policy.OnHTTPRequest, px)
	switch {
	case err != nil:
		return nil, 0, x.policyFault(err)
	case v == policy.Close:
		return nil, 0, x.drop()
	case v == policy.Answer && px.Response != nil:
		return px.Response, policy.FromAnswer, nil
	case v == policy.Refuse && px.Response != nil:
		return px.Response, policy.FromRefusal, nil
	case v != policy.Continue:
		return nil, 0, fault.New(fault.PolicyInternal, "that answers")
	case x.run.stuck != nil:
		return nil, 0, x.run.stuck
	}
	if err := x.adopt(); err != nil {
		return nil, 0, err
	}
	resp, up, err := x.ask()
	if err != nil {
		px.UpstreamDone(0, err)
		return nil, 0, err
	}
	px.UpstreamDone(resp.StatusCode, nil)
	x.run.upstream = resp
	if up.conn != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		x.run.body = keptBody{ReadCloser: resp.Body, x: x, up: up}
		resp.Body = &x.run.body
	}
	x.restoreLocation(resp.Header)
	return resp, policy.FromUpstream, nil
}

// policyFault explains why a phase failed.
func (x *exchange) policyFault(err error) error {
	if x.ctx.Err() != nil || errors.Is(err, errClientGone) {
		return errClientGone
	}
	return fault.From(err)
}

// keptBody is the body of an upstream's answer. Closing it lets the connection
// go to the next request.
type keptBody struct {
	io.ReadCloser
	x      *exchange
	up     upstream
	closed bool
}

// Ready reports whether a Read would not wait.
func (b *keptBody) Ready() bool {
	r, ok := b.ReadCloser.(interface{ Ready() bool })
	return !ok || r.Ready()
}

func (b *keptBody) Close() error {
	if !b.closed {
		b.closed = true
		b.x.release(b.ReadCloser, b.up)
	}
	return nil
}

// adopt takes over what the policy made of the request.
func (x *exchange) adopt() error {
	r, run := x.r, x.run
	if x.inner != nil || r.Host != run.host { // admit has seen the client's
		if _, ok := canonicalHost(r.Host); !ok {
			return fault.New(fault.PolicyInternal, "that sets the Host, to one that is no host,")
		}
	}
	if rewritten(r.URL, &run.url) {
		target := r.URL.RequestURI()
		if !safeTarget(target) {
			return fault.New(fault.PolicyInternal, "that rewrites the URL, to a malformed one,")
		}
		x.target = target
	} else {
		x.target = run.program.Seen(x.target)
	}
	x.adoptBody()
	return nil
}

// rewritten reports whether two URLs differ in what a request line has of them.
func rewritten(a, b *url.URL) bool { return *a != *b && a.RequestURI() != b.RequestURI() }

// safeTarget reports whether a rewritten target may stand in a request line.
func safeTarget(target string) bool {
	if !strings.HasPrefix(target, "/") && target != "*" {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= 0x20 || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// adoptBody takes over the body if the policy replaced it.
func (x *exchange) adoptBody() {
	r := x.r
	if b, ok := r.Body.(clientBody); ok && b.of == x.body {
		return
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if x.body == nil {
		if r.Body == http.NoBody {
			return
		}
		x.body = &requestBody{rc: http.NewResponseController(x.w)}
		x.body.done.Store(true)
	}
	x.body.instead, x.body.length = r.Body, r.ContentLength
	x.expect = false // it was asked for
}

// sendsBody reports whether the upstream gets a body.
func (x *exchange) sendsBody() bool { return x.body != nil && x.body.instead != http.NoBody }

// askedHost is the Host that the client asked for.
func (x *exchange) askedHost() string {
	switch {
	case x.inner != nil && !x.called():
		return x.inner.of.askedHost()
	case x.run != nil:
		return x.run.host
	}
	return x.r.Host
}

// dropRemoved drops fields of the edge that an action has removed.
func (x *exchange) dropRemoved(h http.Header) {
	if x.run == nil {
		if x.inner != nil && !x.called() {
			x.inner.of.dropRemoved(h)
		}
		return
	}
	for _, name := range x.run.px.Removed {
		delete(h, http.CanonicalHeaderKey(name))
	}
}

// restoreLocation leads a redirect of an upstream that was told another Host
// back to the endpoint (endpoints.md 7.2).
func (x *exchange) restoreLocation(h http.Header) {
	if x.r.Host == x.run.host || len(h["Location"]) != 1 {
		return
	}
	for _, scheme := range [...]string{"http://", "https://"} {
		rest, ok := strings.CutPrefix(h["Location"][0], scheme+x.r.Host)
		if ok && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0) {
			h["Location"] = []string{string(x.cc.scheme) + "://" + x.run.host + rest}
			return
		}
	}
}

// responsePhase runs on_http_response and prepares the events of a stream.
func (x *exchange) responsePhase(resp *http.Response, origin policy.Origin) (*http.Response, error) {
	px, program := x.run.px, x.run.program
	px.Response = resp
	if !policy.ResponsePhase(origin) {
		return resp, nil
	}
	if program.Has(policy.OnHTTPResponse) {
		x.run.ctx = policyContext{x.ctx, x} // which may have been detached
		v, err := program.Run(&x.run.ctx, policy.OnHTTPResponse, px)
		switch {
		case err != nil:
			return nil, x.policyFault(err)
		case v == policy.Close:
			return nil, x.drop()
		}
		if px.Response != resp && resp.Body != nil {
			_ = resp.Body.Close() // another answer takes its place
		}
		resp = px.Response
	}
	if program.Has(policy.OnEventStreamMessage) && isEventStream(resp) {
		x.watchEvents(resp)
	}
	return resp, nil
}

// drop ends the connection without an answer.
func (x *exchange) drop() error {
	for of := x; of.inner != nil; of = of.inner.of {
		if of.called() { // the client's connection is another one
			return fault.New(fault.UpstreamInvalid, "the policy of the endpoint ends the connection")
		}
	}
	x.cc.breakOff()
	return errClientGone
}

// deliver writes the answer, whoever made it.
func (x *exchange) deliver(resp *http.Response) error {
	if _, ok := resp.Body.(*h1.Switched); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		x.run.px.Response = nil
		return x.switchProtocols(resp)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		return fault.New(fault.PolicyInternal, "that answers")
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	if x.filled && resp != x.run.upstream { // another answer took its place
		clear(x.w.Header())
		x.filled = false
	}
	x.settleLength(resp)
	return x.respond(resp)
}

// settleLength makes the length that is announced that of the body.
func (x *exchange) settleLength(resp *http.Response) {
	switch {
	case !policy.BodyAllowed(resp.StatusCode):
		if resp.Body != nil {
			_ = resp.Body.Close() // nobody reads it
		}
		resp.Body, resp.ContentLength = http.NoBody, 0
		if resp.StatusCode != http.StatusNotModified {
			delete(resp.Header, "Content-Length")
		}
		return
	case resp.Body == nil:
		resp.Body, resp.ContentLength = http.NoBody, 0
	case x.r.Method == http.MethodHead:
		return // the fields tell of what GET would get
	}
	if resp.ContentLength < 0 {
		delete(resp.Header, "Content-Length")
		return
	}
	var digits [20]byte
	length := strconv.AppendInt(digits[:0], resp.ContentLength, 10)
	if have := resp.Header["Content-Length"]; len(have) != 1 || have[0] != string(length) {
		resp.Header["Content-Length"] = []string{string(length)}
	}
}
