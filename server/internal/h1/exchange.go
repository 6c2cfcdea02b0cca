package h1

import (
	"context"
	"net/http"
	"sync/atomic"
)

// exchange is one request with its response. It is the response's Body.
type exchange struct {
	c       *Conn
	req     *Request
	ctx     context.Context //nolint:containedctx // the exchange is a call that outlives its function
	release func() bool     // detaches from ctx
	resp    http.Response

	// The sending goroutine: sent is closed at its end. goOn is closed when a
	// withheld body may be sent; halt when it is no longer wanted.
	sent     chan struct{}
	goOn     chan struct{}
	halt     chan struct{}
	sendErr  error // valid once sent is closed
	bodyErr  atomic.Pointer[error]
	last     atomic.Bool // the sender has begun its last Write
	withheld bool        // goOn is still open
	complete bool        // nothing of the request is missing; for requests without sender

	frame    framing
	left     int64
	chunks   chunks
	keep     bool
	finished bool
	err      error // sticky result of Read
}

// fail ends an exchange that has no usable response.
func (x *exchange) fail(err error) error {
	err = x.explain(err) // before StopBody, which may end the context
	x.c.Abort()
	x.stopSender()
	x.release()
	x.c.busy = false
	x.finished = true
	x.c.freeBuffer()
	return err
}

// explain finds the error that was first: the end of the context and a failed
// request body both show up as a broken connection.
func (x *exchange) explain(err error) error {
	if body := x.bodyErr.Load(); body != nil {
		return &Error{Kind: RequestBody, Err: *body}
	}
	if x.ctx.Err() != nil {
		return &Error{Kind: Canceled, Err: context.Cause(x.ctx)}
	}
	return err
}

// receive reads heads until the final one.
func (x *exchange) receive() error {
	c := x.c
	for interim := 0; ; interim++ {
		l, h, err := x.readHead()
		if err != nil {
			return err
		}
		switch {
		case l.code == http.StatusSwitchingProtocols:
			return x.switchProtocols(l, h)
		case l.code >= 200:
			return x.begin(l, h)
		case interim >= c.cfg.MaxInterim:
			return protocolError("more than %d interim responses", c.cfg.MaxInterim)
		case l.code == http.StatusContinue:
			if x.withheld {
				x.withheld = false
				close(x.goOn)
			}
		case x.req.Interim != nil:
			x.req.Interim.Interim(l.code, h)
		}
	}
}

// readHead reads and parses one head.
func (x *exchange) readHead() (statusLine, http.Header, error) {
	c := x.c
	from := 0
	for {
		b := c.buf[c.r:c.w]
		if err := x.recognise(b); err != nil {
			return statusLine{}, nil, err
		}
		end, next := -1, from
		if len(b) > from {
			end, next = headEnd(b, from)
		}
		if end > c.cfg.MaxHead || end < 0 && len(b) >= c.cfg.MaxHead {
			return statusLine{}, nil, protocolError("head longer than %d bytes", c.cfg.MaxHead)
		}
		if end >= 0 {
			l, h, err := parseHead(b[:end], c.cfg.MaxFields, x.req.Response)
			c.r += end
			return l, h, err
		}
		from = next
		if err := c.fill(c.cfg.MaxHead); err != nil {
			return statusLine{}, nil, failure(err, len(b) > 0)
		}
	}
}

// recognise refuses as early as possible what cannot become an HTTP response.
func (x *exchange) recognise(b []byte) error {
	const prefix = "HTTP/"
	n := min(len(b), len(prefix))
	if string(b[:n]) == prefix[:n] {
		return nil
	}
	c := x.c
	for c.cfg.Foreign != nil {
		err, more := c.cfg.Foreign(b)
		if err != nil {
			return &Error{Kind: Protocol, Err: err}
		}
		if !more || len(b) >= foreignLimit || c.fill(foreignLimit) != nil {
			break
		}
		b = c.buf[c.r:c.w]
	}
	return protocolError("not an HTTP response: %.24q", b)
}

// begin prepares the response for the final head.
func (x *exchange) begin(l statusLine, h http.Header) error {
	f, n, keep, err := frame(x.req.Method, l, h)
	if err != nil {
		return err
	}
	x.frame, x.left, x.keep = f, n, keep
	x.resp = http.Response{
		Status: l.status, StatusCode: l.code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: l.minor,
		Header: h, ContentLength: n, Body: x, Close: !keep,
	}
	if l.minor == 0 {
		x.resp.Proto = "HTTP/1.0"
	}
	switch f {
	case noBody:
		x.finish()
	case byChunks:
		x.resp.TransferEncoding = []string{"chunked"}
		x.announce()
	case byLength, byClose:
	}
	return nil
}

// announce moves the Trailer field into the response's Trailer.
func (x *exchange) announce() {
	names, ok := x.resp.Header["Trailer"]
	if !ok {
		return
	}
	delete(x.resp.Header, "Trailer")
	for name := range listed(names) {
		if x.resp.Trailer == nil {
			x.resp.Trailer = make(http.Header)
		}
		if name, ok := canonicalName(name); ok && len(x.resp.Trailer) < x.c.cfg.MaxTrailerFields {
			x.resp.Trailer[name] = nil
		}
	}
}
