package edge

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// maxCalls is how many requests that policies make of their own may lead to
// each other (traffic-policy.md 6.10).
const maxCalls = 3

// called reports whether the exchange is a request that a policy makes of its
// own: it has nothing of the client's request but its connection.
func (x *exchange) called() bool { return x.inner != nil && x.inner.call }

// calls is how many such requests the exchange is behind.
func (x *exchange) calls() int {
	if x.inner == nil {
		return 0
	}
	return x.inner.calls
}

// Call has the internal endpoint at the URL of r answer it, in the account of
// px. It fails with fault.CallLoop if calls lead to each other, and otherwise
// as Forward does.
func (Forwarder) Call(ctx context.Context, px *policy.Exchange, r *http.Request) (*http.Response, error) {
	to, err := endpoint.ParseURL(r.URL.Scheme+"://"+r.URL.Host, endpoint.HTTPS)
	if err == nil {
		err = to.WithDefaults().Check(endpoint.Internal)
	}
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if err != nil || !ok {
		return nil, fault.Wrap(err, fault.EndpointOffline, r.URL.Scheme+"://"+r.URL.Host)
	}
	hops := 1
	if x.inner != nil {
		hops = x.inner.hops + 1
	}
	switch {
	case x.calls() >= maxCalls:
		return nil, fault.New(fault.CallLoop, maxCalls)
	case hops > maxHops:
		return nil, errHops()
	}
	resp, err := x.calling(ctx, r, to, hops).answer() //nolint:contextcheck // the exchange has it
	if errors.Is(err, errClientGone) {
		err = fault.New(fault.GatewayFailure, "the exchange broke off") // the client is still there
	}
	return resp, err
}

// calling is the exchange with an internal endpoint that a policy asks.
func (x *exchange) calling(ctx context.Context, r *http.Request, to endpoint.URL, hops int) *exchange {
	nobody := &pageWriter{header: make(http.Header)} // for interim answers
	r = r.WithContext(ctx)
	r.Host = r.URL.Host
	if x.h.forwarded != ForwardOff {
		r.Header.Del(forwardedFor) // the edge sets it
	}
	c := &exchange{
		h: x.h, w: nobody, r: r, cc: x.cc, ctx: ctx, host: to.Host, target: r.URL.RequestURI(),
		inner: &inner{of: x, to: to, hops: hops, calls: x.calls() + 1, call: true},
	}
	if r.ContentLength == 0 || r.Body == nil {
		r.Body = http.NoBody
		return c
	}
	c.body = &requestBody{src: io.NopCloser(r.Body), rc: http.NewResponseController(nobody), length: r.ContentLength}
	r.Body = clientBody{c.body}
	return c
}
