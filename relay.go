package culvert

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/culvert-project/culvert/internal/netx"
)

// relay copies between two connections until both directions have ended,
// passes half-closes on, and closes both. A connection that only takes nothing
// more is still read to its end, as with mux.Splice. It is for connections with
// TLS on the client's side; all others are spliced.
func relay(a, b net.Conn) {
	var wg sync.WaitGroup
	closeBoth := func() {
		_ = a.Close()
		_ = b.Close()
	}
	one := func(to, from *half) {
		w := &lossyWriter{to: to, over: closeBoth}
		_, err := io.Copy(w, from)
		if err == nil && !w.broken {
			err = netx.CloseWrite(to.Conn)
		}
		if err != nil || from.lost() {
			closeBoth() // the other direction cannot be completed
		}
	}
	ha, hb := &half{Conn: a}, &half{Conn: b}
	wg.Go(func() { one(ha, hb) })
	one(hb, ha)
	wg.Wait()
	closeBoth()
}

// half is one of two connections that are joined.
type half struct {
	net.Conn
	losses atomic.Int32
}

// lost counts that the connection gives nothing more, or takes nothing more,
// and reports whether it now does neither.
func (h *half) lost() bool { return h.losses.Add(1) == 2 }

// lossyWriter writes to a connection and drops what it does not take.
type lossyWriter struct {
	to     *half
	over   func() // called when the connection has given all too
	broken bool
}

func (w *lossyWriter) Write(b []byte) (int, error) {
	if w.broken {
		return len(b), nil
	}
	if _, err := w.to.Write(b); err != nil {
		w.broken = true
		if w.to.lost() {
			w.over()
		}
	}
	return len(b), nil
}

// upstreamError says in few words why an upstream cannot be reached. The
// address is in the message already.
func upstreamError(err error) string {
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}
