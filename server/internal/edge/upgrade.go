package edge

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// switchProtocols answers 101 and joins client and upstream until both are
// done. Bytes that the client sent early waited until now (T04).
func (x *exchange) switchProtocols(resp *http.Response) error {
	s, ok := resp.Body.(*h1.Switched)
	if !ok {
		return fault.New(fault.UpstreamInvalid, "it switched protocols without being asked")
	}
	client, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		_ = s.Close()
		return fault.Wrap(err, fault.Internal)
	}
	x.wrote, x.status = true, resp.StatusCode
	x.unwatch() // joined connections have a limit of their own
	defer client.Close()
	x.h.sockets.add()
	defer x.h.sockets.done()
	up, early := s.Take()
	defer up.Close()
	if _, err := client.Write(append(switchHead(resp), early...)); err != nil {
		abort(up)
		return errDone
	}
	initial, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		abort(up)
		return errDone
	}
	client, ahead := netx.Buffered(client)
	initial = append(slices.Clip(initial), ahead...)
	var passed *atomic.Int64
	if ec, ok := client.(*edgeConn); ok {
		below, ahead := ec.Detach() // sockets are joined faster than wrapped ones
		client, initial = below, append(initial, ahead...)
		passed = ec.metered.Load().Out()
	}
	ws := &socket{Conn: client}
	ws.in.pass(initial)
	ws.out.pass(early)
	defer context.AfterFunc(x.h.leaving, ws.leave)()
	if x.ep.Gone != nil {
		defer context.AfterFunc(x.ep.Gone, func() { _ = ws.Conn.Close() })()
	}
	x.sent = int64(len(early)) + x.join(up, ws, initial, passed)
	return errDone
}

// switchHead is the head of the 101 response to the client.
func switchHead(resp *http.Response) []byte {
	protocol := resp.Header.Get("Upgrade")
	removeHop(resp.Header)
	delete(resp.Header, "Content-Length") // RFC 9110 8.6: never in a 1xx
	b := fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n", protocol)
	for name, values := range resp.Header {
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// join copies both ways until both directions have ended. It returns the bytes
// that went to the client, and adds them to passed, which may be nil.
func (x *exchange) join(up, client net.Conn, initial []byte, passed *atomic.Int64) int64 {
	below, head := netx.Buffered(up)
	if len(head) > 0 {
		if _, err := client.Write(head); err != nil {
			abort(below)
			return 0
		}
	}
	idle := max(x.h.limits.IdleTimeout, 0)
	if st, ok := below.(*mux.Stream); ok {
		res := mux.Splice(st, client, mux.SpliceOptions{Idle: idle, Initial: initial, Passed: passed})
		return int64(len(head)) + res.ToConn
	}
	return int64(len(head)) + joinPlain(below, client, initial, idle)
}

// joinPlain joins connections that are no streams, as in tests.
func joinPlain(up, client net.Conn, initial []byte, idle time.Duration) int64 {
	if _, err := up.Write(initial); err != nil {
		return 0
	}
	var wg sync.WaitGroup
	wg.Go(func() { copyHalf(up, client, idle) })
	n := copyHalf(client, up, idle)
	wg.Wait()
	return n
}

func copyHalf(dst, src net.Conn, idle time.Duration) (total int64) {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for {
		if idle > 0 {
			_ = src.SetReadDeadline(time.Now().Add(idle))
		}
		n, err := src.Read(buf[:])
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				_ = src.Close()
				return total
			}
			total += int64(n)
		}
		if err != nil {
			_ = netx.CloseWrite(dst)
			return total
		}
	}
}

// abort ends a connection so that the peer can tell it from a regular end.
func abort(c net.Conn) {
	if a, ok := c.(interface{ Abort() }); ok {
		a.Abort()
		return
	}
	_ = c.Close()
}
