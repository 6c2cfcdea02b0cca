package edge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// copyBuffer is what a response body travels in: one full DATA frame.
const copyBuffer = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// forward sends the request to the member and its answer to the client.
func (x *exchange) forward() error {
	resp, up, err := x.ask() //nolint:bodyclose // release closes it
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x.switchProtocols(resp)
	}
	defer x.release(resp.Body, up)
	return x.respond(resp)
}

// old reports whether the request's version knows no interim answers and no
// change of protocols, or has other ways for them.
func (x *exchange) old() bool { return x.r.ProtoMajor != 1 || x.r.ProtoMinor == 0 }

// expects reports whether the client waits for 100 before it sends the body.
func (x *exchange) expects() bool {
	return !x.old() && hasToken(x.r.Header["Expect"], "100-continue")
}

// ask sends the request to the member and returns the head of its answer.
func (x *exchange) ask() (*http.Response, upstream, error) {
	upgrade := upgradeToken(x.r.Header)
	if upgrade != "" && (x.old() || x.r.ContentLength != 0) {
		upgrade = "" // only HTTP/1.1 switches, and not while a body is under way
	}
	if x.run == nil && x.inner == nil {
		x.expect = x.expects()
	}
	x.requestHeader()
	x.dropRemoved(x.r.Header)
	if err := x.takeBody(); err != nil {
		return nil, upstream{}, err
	}
	program := x.ep.Policy
	resp, up, err := x.roundTrip(upgrade) //nolint:bodyclose // release closes it
	for range others {
		if !fault.Has(err, fault.AgentUnreachable) {
			break
		}
		// Its session ended just now, and nothing was sent.
		if err := x.findOther(); err != nil {
			return nil, up, err
		}
		if x.ep.Policy != program {
			return nil, up, err // the request has gone through another policy
		}
		resp, up, err = x.roundTrip(upgrade) //nolint:bodyclose // release closes it
	}
	if err != nil {
		return nil, up, x.upstreamFault(err)
	}
	delete(resp.Header, errorCodeField) // it is the server's to set
	return resp, up, nil
}

// roundTrip sends the request to the member and returns the head of its answer.
func (x *exchange) roundTrip(upgrade string) (resp *http.Response, up upstream, err error) {
	x.filled = false
	if !x.ep.HTTP2 {
		return x.roundTrip1(upgrade)
	}
	if upgrade != "" {
		return nil, up, fault.New(fault.UpgradeRefused, "the service behind the endpoint speaks HTTP/2 only")
	}
	resp, err = x.roundTrip2()
	return resp, up, err
}

// release ends the exchange with the upstream. What is left of the request
// body is not sent any more.
func (x *exchange) release(body io.Closer, up upstream) {
	_ = body.Close() // an upstream that ends badly is not kept
	if up.conn != nil {
		x.cc.upstreams.put(up)
	}
}

// respond writes the response's head, streams its body and writes its
// trailers.
func (x *exchange) respond(resp *http.Response) error {
	x.writeHead(resp)
	if x.r.Method != http.MethodHead {
		if err := x.relay(resp); err != nil {
			return err
		}
	}
	x.writeTrailer(resp.Trailer)
	return nil
}

// writeHead writes the final head. What net/http would add of its own is
// suppressed: a nil value counts as set.
func (x *exchange) writeHead(resp *http.Response) {
	from, h := resp.Header, x.w.Header()
	removeHop(from)
	if !x.filled {
		for name, values := range from {
			h[name] = values
		}
	}
	for _, name := range [...]string{"Date", "Content-Type"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
	if x.r.ProtoMajor > 1 {
		// HTTP/2 frames the body by itself: no length that nobody sent.
		if _, ok := h["Content-Length"]; !ok {
			h["Content-Length"] = nil
		}
	}
	x.endsConnection(h)
	if resp.ContentLength < 0 && len(resp.Trailer) > 0 {
		var names []string
		for name := range allowedTrailer(resp.Trailer) {
			names = append(names, name)
		}
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
	x.wrote, x.dirty, x.status = true, true, resp.StatusCode
	x.judged.Store(nil) // from here on it may be a conversation
	x.w.WriteHeader(resp.StatusCode)
}

// relay streams the body. Whatever has come is flushed before a read that may
// wait for more, so that events arrive when they happen, while a body that
// comes at once leaves in few writes.
func (x *exchange) relay(resp *http.Response) error {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	source, tells := resp.Body.(interface{ Ready() bool })
	// An answer without a body must not be flushed before its end is known: the
	// status of a gRPC call may be in its head, and its end has to come with it.
	x.dirty = resp.ContentLength != 0
	short := true // the last read did not fill the buffer: there was no more
	for {
		if x.dirty && (tells && !source.Ready() || !tells && short) {
			x.flush()
		}
		n, err := resp.Body.Read(buf[:])
		short = n < len(buf)
		if n > 0 {
			x.out.waiting.Store(true)
			m, werr := x.w.Write(buf[:n])
			x.out.waiting.Store(false)
			x.out.bytes.Add(int64(m))
			x.sent += int64(m)
			x.dirty = true
			if werr != nil {
				return errClientGone
			}
		}
		switch {
		case err == nil:
		case err == io.EOF: //nolint:errorlint // the regular end of a body is the bare value
			return nil
		case x.ctx.Err() != nil:
			return errClientGone
		default:
			return x.upstreamFault(err)
		}
	}
}

// writeTrailer hands the trailers to net/http, which writes them when the
// handler returns.
func (x *exchange) writeTrailer(t http.Header) {
	if len(t) == 0 {
		return
	}
	h := x.w.Header()
	announced := h.Get("Trailer")
	for name, values := range allowedTrailer(t) {
		if announced != "" && hasToken([]string{announced}, name) {
			h[name] = values
		} else if len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
	// Without it a short body would get a length, which leaves no room for
	// trailers.
	x.flush()
}

// Interim passes a 1xx response on.
func (x *exchange) Interim(code int, from http.Header) {
	if !x.r.ProtoAtLeast(1, 1) {
		return
	}
	h := x.w.Header()
	removeHop(from)
	delete(from, errorCodeField)
	for name, values := range from {
		h[name] = values
	}
	x.w.WriteHeader(code)
	clear(h)
}

// flush sends what was written. Whether it arrives shows at the next write.
func (x *exchange) flush() {
	x.dirty = false
	if f, ok := x.w.(http.Flusher); ok {
		x.out.waiting.Store(true)
		f.Flush()
		x.out.waiting.Store(false)
	}
}

// upstreamFault explains a failed exchange with the upstream.
func (x *exchange) upstreamFault(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && !endsSession(err, f) {
		return f
	}
	if x.ctx.Err() != nil {
		return errClientGone
	}
	switch h1.KindOf(err) {
	case h1.RequestBody:
		return x.bodyFault(err)
	case h1.Invalid:
		return x.refuse(fault.Wrap(err, fault.BadRequest, "it cannot be passed on as HTTP/1.1"))
	case h1.Timeout:
		return fault.Wrap(err, fault.BackendTimeout)
	case h1.Protocol:
		return fault.Wrap(err, fault.UpstreamInvalid, errors.Unwrap(err))
	case h1.Closed:
		return fault.Wrap(err, fault.UpstreamInvalid, "the connection ended before an answer")
	case h1.Truncated:
		return fault.Wrap(err, fault.UpstreamInvalid, "the connection ended inside the answer")
	default:
		return fault.Wrap(err, fault.GatewayFailure, "the exchange with the service broke off")
	}
}

// endsSession reports whether f, which err wraps, is why the agent's session
// ended. That is for the agent; to a client its exchange broke off.
func endsSession(err error, f *fault.Error) bool {
	se, ok := errors.AsType[*mux.SessionError](err)
	if !ok {
		return false
	}
	cause, ok := errors.AsType[*fault.Error](se)
	return ok && cause == f
}
