package culvert

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/culvert-project/culvert/internal/netx"
)

// relay copies between two connections until both directions have ended,
// passes half-closes on, and closes both. It is for connections with TLS on
// the client's side; all others are spliced.
func relay(a, b net.Conn) {
	var wg sync.WaitGroup
	one := func(to, from net.Conn) {
		if _, err := io.Copy(to, from); err == nil {
			err = netx.CloseWrite(to)
			if err == nil {
				return
			}
		}
		// One direction has failed: the other one cannot be completed.
		_ = a.Close()
		_ = b.Close()
	}
	wg.Go(func() { one(a, b) })
	one(b, a)
	wg.Wait()
	_ = a.Close()
	_ = b.Close()
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
