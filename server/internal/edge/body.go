package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// smallBody is the largest request body that is read before the upstream is
// asked: such a request leaves in one write, costs no goroutine and can be
// sent again.
const smallBody = 8 << 10

var longAgo = time.Unix(1, 0)

// requestBody is the client's body on its way upstream. One goroutine reads
// it, which need not be that of the request; the rest may be called from any.
type requestBody struct {
	src    io.ReadCloser
	rc     *http.ResponseController
	length int64 // -1 if unknown

	small []byte // the whole body, if it was read ahead
	off   int

	// trailer has the fields that were announced and may be sent. Its values
	// are there once Read has returned io.EOF.
	trailer, from http.Header
	most          int // bytes of it

	pace pace
	slow atomic.Bool // it was stopped for being too slow

	done    atomic.Bool // nothing of it is left on the connection
	stopped atomic.Bool // nobody wants the rest

	// timed says that a policy may ask when all of it had come, which arrived
	// tells: Unix nanoseconds, 0 before.
	timed   bool
	arrived atomic.Int64

	// instead is what a policy made of the body, nil if it is unchanged.
	instead io.Reader
	// of is the body of the request that was forwarded inside, nil if this is
	// the client's own.
	of *requestBody
}

// takeBody prepares the body of the request. A small one is read now.
func (x *exchange) takeBody() error {
	if x.run == nil && x.inner == nil {
		if err := x.openBody(); err != nil {
			return err
		}
	}
	return x.readAhead()
}

// openBody takes the body from the request. Nothing of it is read yet.
func (x *exchange) openBody() error {
	r := x.r
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{src: r.Body, rc: http.NewResponseController(x.w), length: r.ContentLength}
	b.timed = x.run != nil
	x.body = b
	if len(r.Trailer) > x.h.limits.TrailerFields {
		return x.refuse(fault.New(fault.BadRequest, "its trailer section is too large"))
	}
	b.most = x.h.limits.TrailerBytes
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		x.judged.Store(b)
	}
	if r.ProtoMajor == 1 {
		// The answer may begin while the body is under way.
		if err := b.rc.EnableFullDuplex(); err != nil {
			return fault.Wrap(err, fault.Internal)
		}
	}
	if x.run != nil || b.large(x.expect) {
		b.announce(r)
		x.detach()
	}
	return nil
}

// large reports whether the body is sent while it is read.
func (b *requestBody) large(expect bool) bool {
	return b.length < 0 || b.length > smallBody || expect
}

// readAhead reads a small body. One that a policy has read from is left.
func (x *exchange) readAhead() error {
	b := x.body
	if b == nil || b.large(x.expect) || b.instead != nil || b.received() > 0 {
		return nil
	}
	b.small = make([]byte, b.length)
	if _, err := io.ReadFull(readerFunc(b.receive), b.small); err != nil {
		return x.bodyFault(err)
	}
	b.finished()
	return nil
}

// detach makes the exchange live on when stop ends the reading of its body:
// net/http's server takes the failed read for the end of an HTTP/1 connection,
// and ends the request's context.
func (x *exchange) detach() {
	if !x.cc.handedOver {
		return
	}
	request, body := x.ctx, x.body
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(request))
	x.ctx = ctx
	x.detached = context.AfterFunc(request, func() {
		if !body.stopped.Load() {
			cancel(context.Cause(request))
		}
	})
}

// announce takes over the trailer fields that the client announced.
func (b *requestBody) announce(r *http.Request) {
	if len(r.Trailer) == 0 || r.ContentLength >= 0 {
		return
	}
	b.from, b.trailer = r.Trailer, make(http.Header, len(r.Trailer))
	for name := range r.Trailer {
		if trailerAllowed(name) {
			b.trailer[name] = nil
		}
	}
}

// Read reads on in the body.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.small != nil {
		if b.off == len(b.small) {
			return 0, io.EOF
		}
		n := copy(p, b.small[b.off:])
		b.off += n
		return n, nil
	}
	if b.instead != nil {
		return b.instead.Read(p)
	}
	return b.read(p)
}

// read reads on in what the client sends.
func (b *requestBody) read(p []byte) (int, error) {
	n, err := b.receive(p)
	if errors.Is(err, io.EOF) {
		left := b.most
		for name := range b.trailer {
			b.trailer[name] = b.from[name]
			for _, v := range b.from[name] {
				left -= len(name) + len(v)
			}
		}
		if left < 0 {
			return n, errTrailer
		}
	}
	if errors.Is(err, io.EOF) || b.length > 0 && b.received() == b.length {
		b.finished()
	}
	return n, err
}

var errTrailer = errors.New("trailer section too large")

// receive reads from the client.
func (b *requestBody) receive(p []byte) (int, error) {
	b.pace.waiting.Store(true)
	n, err := b.src.Read(p)
	b.pace.waiting.Store(false)
	b.pace.bytes.Add(int64(n))
	return n, err
}

// readerFunc is an io.Reader made of a function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// rewind makes Read begin anew and reports whether it can.
func (b *requestBody) rewind() bool {
	if b == nil {
		return true
	}
	b.off = 0
	return b.small != nil
}

// finished notes that nothing of it is left on the connection.
func (b *requestBody) finished() {
	if b.timed {
		b.arrived.Store(time.Now().UnixNano())
	}
	b.done.Store(true)
}

// stop makes a pending or later Read return soon.
func (b *requestBody) stop() {
	if b.of != nil {
		b.of.stop()
		return
	}
	if !b.done.Load() {
		b.stopped.Store(true)
		_ = b.rc.SetReadDeadline(longAgo) // a connection that cannot is at its end
	}
}

// Close is stop, for clients that know no other way. The body itself belongs
// to the server.
func (b *requestBody) Close() error {
	b.stop()
	return nil
}

// complete reports whether nothing of the body is left on the connection.
func (b *requestBody) complete() bool { return b == nil || b.done.Load() }

// received returns how many bytes the client has sent.
func (b *requestBody) received() int64 { return b.pace.bytes.Load() }

// bodyFault tells why the client's body could not be read.
func (x *exchange) bodyFault(err error) error {
	switch {
	case x.body.slow.Load():
		return x.refuse(fault.Wrap(err, fault.RequestTimeout))
	case x.ctx.Err() != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return errClientGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		return x.refuse(fault.Wrap(err, fault.RequestTimeout))
	}
	return x.refuse(fault.Wrap(err, fault.BadRequest, "its body is malformed"))
}
