package mux

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// SpliceOptions say how Splice joins a stream and a connection.
type SpliceOptions struct {
	// Idle ends the pair when no byte went either way for so long. Zero means
	// never.
	Idle time.Duration
	// Initial are bytes already read from the connection; they are sent first.
	Initial []byte
	// Tap, where set, reads along. Default: nobody does.
	Tap Tap
	// Passed, where set, is added the bytes to that the connection takes, as it
	// takes them. [Stream.CountWrites] is that for the other direction.
	Passed *atomic.Int64
}

// Tap reads along with what Splice passes on. Each method gets all bytes of its
// direction in order, before they leave; it must not keep, change or wait. The
// two may be called at the same time.
type Tap interface {
	ToConn(p []byte)
	// ToStream is called without bytes when the connection has ended.
	ToStream(p []byte)
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
// ended, passing half-closes on, and closes both. When one side breaks off, so
// does the other: a stream is aborted, a connection cut off. A connection that
// only takes nothing more is still read to its end, and what the stream brings
// for it dropped: a server that closes at once may have answered before.
// Between a stream
// and a TCP socket it is the fast path: received payload goes into the socket
// from the session reader, by a write that does not wait, and only one
// goroutine is used, the caller's.
func Splice(st *Stream, c net.Conn, o SpliceOptions) SpliceResult {
	c, head := netx.Buffered(c)
	initial := append(head, o.Initial...)
	p := &pair{st: st, conn: c, raw: netx.NewRaw(c), tap: o.Tap, counted: o.Passed}
	stop := p.watchIdle(o.Idle)
	defer stop()
	// A reset behind a FIN reaches no reader, and we may wait for the connection.
	st.whenFailed(func(err error) { p.sendFailed(err) })

	if len(initial) > 0 {
		p.send(initial)
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
	tap  Tap // may be nil

	toConn, toStream atomic.Int64
	counted          *atomic.Int64 // may be nil

	mu       sync.Mutex
	err      error
	refused  bool  // the peer has finished and takes nothing more
	answered bool  // all that the peer sent is passed on
	broken   error // why the connection takes nothing more
	read     bool  // the connection is read to its end
}

// lingerTime is how long a connection is still read, and what it sends dropped,
// after an answer is complete whose sender takes nothing more. Closing at once
// could cost the client the end of the answer, since unread data makes TCP
// reset a connection. As long may a client take for what came ahead of a reset.
const lingerTime = 2 * time.Second

// passed counts what the connection has taken.
func (p *pair) passed(n int) {
	p.toConn.Add(int64(n))
	if p.counted != nil {
		p.counted.Add(int64(n))
	}
}

// end breaks both sides off because of err; the first cause is kept.
func (p *pair) end(err error) {
	p.note(err)
	p.st.Abort()
	_ = netx.CutOff(p.conn) // wakes whoever waits for it
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

// sendFailed judges why the stream takes nothing more. Many peers close a
// stream as a whole once they have answered and refuse what comes then; that
// must not cut off an answer which is still on its way. Nor must a reset without
// an end cut off what came ahead of it; who gets that ends the pair then.
// Anything else ends the pair now.
func (p *pair) sendFailed(err error) {
	var se *StreamError
	remote := errors.As(err, &se) && se.Remote
	switch finished := p.st.recv.finished(); {
	case remote && finished && se.Code == frame.StreamClosed:
		p.lingers(true, false)
	case remote && !finished:
		p.note(err)
		_ = p.conn.SetWriteDeadline(time.Now().Add(lingerTime)) // it may have ended
	default:
		p.end(err)
	}
}

// writeFailed notes that the connection takes nothing more. It is read to its
// end still, and then the stream ends.
func (p *pair) writeFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) { // alive, and may never end
		p.end(err)
		return
	}
	p.note(err)
	if p.breaks(err) {
		p.refuse(err)
	}
}

// breaks notes why the connection takes nothing more and reports whether it is
// read to its end.
func (p *pair) breaks(err error) (read bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
	}
	return p.read
}

// readDone notes that the connection is read to its end and returns why it takes
// nothing more, if that is so.
func (p *pair) readDone() (broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = true
	return p.broken
}

// refuse ends a stream whose connection gives nothing more and takes nothing
// more. An agent ends it so that its answer, which is complete, still reaches
// the client. A client that is gone is to be told of at once.
func (p *pair) refuse(err error) {
	if p.st.session.conf.Role == Server {
		p.end(err)
		return
	}
	p.st.Reset(frame.StreamClosed)
}

// lingers notes how far a regular end has come, and reports whether the peer
// takes nothing more. Once the answer is complete too, time is up soon.
func (p *pair) lingers(refused, answered bool) bool {
	p.mu.Lock()
	p.refused = p.refused || refused
	p.answered = p.answered || answered
	refused, both := p.refused, p.refused && p.answered
	p.mu.Unlock()
	if both {
		_ = p.conn.SetReadDeadline(time.Now().Add(lingerTime))
	}
	return refused
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
		w := &connWriter{pair: p}
		_, err := p.st.WriteTo(w)
		if err != nil {
			p.end(err)
			return
		}
		w.finish()
	})
	read := shortRead
	p.pump(func(credit int64) (ok bool) {
		n, err := p.readInto(read, credit)
		// A connection that is quiet for long has most likely sent little
		// before, and then holds little while it waits.
		read = shortRead
		if n >= shortRead {
			read = readSize
		}
		return err == nil
	})
	wg.Wait()
}

// shortRead is how much is read at once from a connection that sends little.
const shortRead = middleChunk

// readInto reads once and sends what it got.
func (p *pair) readInto(size int, credit int64) (n int, err error) {
	var buf []byte
	if size == shortRead {
		b := middleChunks.Get().(*[middleChunk]byte)
		defer middleChunks.Put(b)
		buf = b[:]
	} else {
		b := readBuffers.Get().(*[readSize]byte)
		defer readBuffers.Put(b)
		buf = b[:]
	}
	n, err = p.conn.Read(buf[:min(int64(len(buf)), credit)])
	if n > 0 && !p.send(buf[:n]) {
		return n, nil // the next wait for credit tells
	}
	if err != nil {
		p.readEnded(err)
	}
	return n, err
}

// leastCredit is the credit that a read of the connection is worth: the rest of
// a window would make a tiny frame, and most peers return more before it is
// used up.
const leastCredit = 8 << 10

// pump calls step whenever the stream has credit, until step says that the
// connection has ended or the stream takes nothing more.
func (p *pair) pump(step func(credit int64) bool) {
	for {
		credit, err := p.st.awaitCredit(leastCredit)
		if err != nil {
			p.sendFailed(err)
			break
		}
		if !step(credit) {
			return
		}
	}
	if p.lingers(false, false) {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{p.conn})
	}
}

// send passes b on to the stream and reports whether all of it went.
func (p *pair) send(b []byte) bool {
	if p.tap != nil {
		p.tap.ToStream(b)
	}
	n, err := p.st.Write(b)
	p.toStream.Add(int64(n))
	if err != nil {
		p.sendFailed(err)
	}
	return err == nil
}

// readEnded passes on that the connection has ended.
func (p *pair) readEnded(err error) {
	if p.tap != nil {
		p.tap.ToStream(nil)
	}
	broken := p.readDone()
	// Who was told of a reset when writing reads an end.
	if errors.Is(err, io.EOF) && errors.Is(broken, syscall.ECONNRESET) {
		err = broken
	}
	switch {
	case errors.Is(err, io.EOF):
		_ = p.st.CloseWrite() // never fails
		if broken != nil {
			p.refuse(broken)
		}
	case !p.lingers(false, false):
		p.end(err)
	}
}

// connWriter writes to the connection of a pair, and drops what it does not
// take.
type connWriter struct {
	pair   *pair
	broken bool
}

func (w *connWriter) Write(b []byte) (int, error) {
	p := w.pair
	if w.broken {
		return len(b), nil
	}
	if p.tap != nil {
		p.tap.ToConn(b)
	}
	n, err := p.conn.Write(b)
	p.passed(n)
	if err != nil {
		w.broken = true
		p.writeFailed(err)
	}
	return len(b), nil
}

// finish passes on that the stream has ended regularly.
func (w *connWriter) finish() {
	p := w.pair
	if w.broken {
		return
	}
	if err := netx.CloseWrite(p.conn); err != nil {
		p.writeFailed(err)
		return
	}
	p.lingers(false, true)
}
