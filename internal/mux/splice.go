package mux

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// SpliceOptions say how Splice joins a stream and a connection.
type SpliceOptions struct {
	// Idle ends the pair when no byte went either way for so long. Zero means
	// never.
	Idle time.Duration
	// Initial are bytes already read from the connection; they are sent first.
	Initial []byte
}

// SpliceResult says what went through.
type SpliceResult struct {
	ToConn   int64 // bytes from the stream to the connection
	ToStream int64 // bytes from the connection to the stream
	Err      error // why the pair ended early; nil after both ends finished
}

// ErrIdle ends a spliced pair through which nothing went for the idle time.
var ErrIdle = errors.New("idle timeout")

// Splice copies between a stream and a connection until both directions have
// ended, passing half-closes on, and closes both. Between a stream and a TCP
// socket it is the fast path: received payload goes into the socket from the
// session reader, by a write that does not wait, and only one goroutine is
// used, the caller's.
func Splice(st *Stream, c net.Conn, o SpliceOptions) SpliceResult {
	c, head := netx.Buffered(c)
	initial := append(head, o.Initial...)
	p := &pair{st: st, conn: c, raw: netx.NewRaw(c)}
	stop := p.watchIdle(o.Idle)
	defer stop()
	// A reset behind a FIN reaches no reader, and we may wait for the connection.
	st.whenFailed(p.end)

	if len(initial) > 0 {
		n, err := st.Write(initial)
		p.toStream.Add(int64(n))
		if err != nil {
			p.end(err)
		}
	}
	if p.raw != nil {
		p.spliceSocket()
	} else {
		p.copyBoth()
	}
	_ = c.Close() // both directions have ended
	_ = st.Close()
	return SpliceResult{ToConn: p.toConn.Load(), ToStream: p.toStream.Load(), Err: p.cause()}
}

// pair is a stream and a connection being joined.
type pair struct {
	st   *Stream
	conn net.Conn
	raw  *netx.Raw

	toConn, toStream atomic.Int64

	mu  sync.Mutex
	err error
}

// end breaks both sides off because of err; the first cause is kept.
func (p *pair) end(err error) {
	p.note(err)
	p.st.Abort()
	_ = p.conn.Close() // wakes whoever waits for it
}

// note keeps the first cause.
func (p *pair) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *pair) cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// watchIdle ends the pair once nothing moved for the idle time. It looks at
// the counters four times as often instead of taking the time for every read.
func (p *pair) watchIdle(idle time.Duration) (stop func()) {
	if idle <= 0 {
		return func() {}
	}
	const looks = 4
	var mu sync.Mutex
	var timer *time.Timer
	stopped, quiet, seen := false, 0, int64(0)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(idle/looks, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		now := p.toConn.Load() + p.toStream.Load()
		if now != seen {
			seen, quiet = now, 0
		} else if quiet++; quiet >= looks {
			go p.end(ErrIdle)
			return
		}
		timer.Reset(idle / looks)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// copyBoth serves connections that cannot be written without waiting.
func (p *pair) copyBoth() {
	p.st.session.out.openNow(p.st)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := p.st.WriteTo(countWriter{p.conn, &p.toConn})
		if err == nil {
			err = netx.CloseWrite(p.conn)
		}
		if err != nil {
			p.end(err)
		}
	})
	buf := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := p.conn.Read(buf[:])
		if n > 0 && !p.send(buf[:n]) {
			break
		}
		if err != nil {
			p.readEnded(err)
			break
		}
	}
	wg.Wait()
}

func (p *pair) send(b []byte) bool {
	n, err := p.st.Write(b)
	p.toStream.Add(int64(n))
	if err != nil {
		p.end(err)
	}
	return err == nil
}

func (p *pair) readEnded(err error) {
	if errors.Is(err, io.EOF) {
		_ = p.st.CloseWrite() // never fails
		return
	}
	p.end(err)
}

type countWriter struct {
	w io.Writer
	n *atomic.Int64
}

func (c countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	return n, err
}
