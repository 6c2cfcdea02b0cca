package mux

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

var errDeadline error = timeoutError{os.ErrDeadlineExceeded}

// Stream is one two-way byte stream of a session. It is a net.Conn with
// half-close. One Read and one Write may be under way at a time, others wait
// for them; all else may be called from anywhere.
type Stream struct {
	session *Session
	local   bool   // we opened it
	id      uint32 // zero until the SYN is sent; guarded by output.mu before that
	head    []byte // of an unsent SYN; guarded by output.mu
	cut     bool   // our RST is sent; guarded by output.mu

	opened    atomic.Bool // the SYN is sent
	acked     atomic.Bool
	forgotten atomic.Bool
	sendDone  atomic.Bool // FIN or RST is sent, or never will be
	recvDone  atomic.Bool // FIN or RST was received, or is not waited for
	held      atomic.Int64

	writing sync.Mutex    // serialises Write
	written *atomic.Int64 // by CountWrites; nil for none
	pending pending       // guarded by output.mu

	sendMu    sync.Mutex
	sendCond  sync.Cond
	credit    int64 // bytes we may send
	finishing bool  // CloseWrite was called
	sendErr   error
	onFail    func(error) // told once, on its own goroutine; see Splice
	sendEnd   deadline

	recv receiver
}

func newStream(s *Session, id uint32) *Stream {
	st := &Stream{session: s, id: id}
	st.sendCond.L = &st.sendMu
	st.recv.cond.L = &st.recv.mu
	st.pending.done.L = &s.out.mu
	st.recv.window = Window
	st.opened.Store(id != 0)
	return st
}

// ID returns the stream's id, or 0 while its SYN has not been sent.
func (st *Stream) ID() uint32 {
	st.session.out.mu.Lock()
	defer st.session.out.mu.Unlock()
	return st.id
}

// Acked reports whether the peer has sent a frame on a stream of ours.
func (st *Stream) Acked() bool { return st.acked.Load() }

// LocalAddr returns our address of the transport.
func (st *Stream) LocalAddr() net.Addr { return st.session.LocalAddr() }

// RemoteAddr returns the peer's address of the transport.
func (st *Stream) RemoteAddr() net.Addr { return st.session.RemoteAddr() }

// CountWrites has the bytes that are written added to n, as they are. It is to be
// called before the first Write.
func (st *Stream) CountWrites(n *atomic.Int64) { st.written = n }

// wrote counts bytes written.
func (st *Stream) wrote(n int) {
	if st.written != nil {
		st.written.Add(int64(n))
	}
}

// Write sends p, waiting for credit, for room in the session's output, for the
// write deadline and for the end of stream and session.
func (st *Stream) Write(p []byte) (n int, err error) {
	st.writing.Lock()
	defer st.writing.Unlock()
	defer func() { st.wrote(n) }()
	for len(p) > 0 {
		m, err := st.reserve(len(p))
		if err != nil {
			return n, err
		}
		sent, err := st.session.out.send(st, p[:m])
		p, n = p[sent:], n+sent
		if err != nil {
			st.refund(m - sent)
			return n, err
		}
	}
	return n, nil
}

// reserve waits for credit and takes up to n bytes of it.
func (st *Stream) reserve(n int) (int, error) {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	for {
		if err := st.sendStopped(); err != nil {
			return 0, err
		}
		if st.credit > 0 {
			n = int(min(int64(n), st.credit))
			st.credit -= int64(n)
			return n, nil
		}
		st.sendCond.Wait()
	}
}

// creditPatience is how long awaitCredit waits for as much credit as it wants
// when there is some. A peer may return more only once it has all that it let
// us send, however little that is.
const creditPatience = 5 * time.Millisecond

// awaitCredit waits until at least so much may be sent, or in the end less, and
// returns how much. Only writes of the caller's own make it less.
func (st *Stream) awaitCredit(least int64) (int64, error) {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	var patience *time.Timer
	patient := true
	for st.credit <= 0 || st.credit < least && patient {
		if err := st.sendStopped(); err != nil {
			return 0, err
		}
		if st.credit > 0 && patience == nil {
			patience = time.AfterFunc(creditPatience, func() {
				st.sendMu.Lock()
				defer st.sendMu.Unlock()
				patient = false
				st.sendCond.Broadcast()
			})
			defer patience.Stop()
		}
		st.sendCond.Wait()
	}
	return st.credit, st.sendStopped()
}

// refund returns credit that was reserved and not used.
func (st *Stream) refund(n int) {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	st.credit += int64(n)
}

// addCredit takes what the peer gives back. More than 31 bits in all is more
// than anybody can mean; it is kept there.
func (st *Stream) addCredit(n uint32) {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	st.credit = min(st.credit+int64(n), 1<<31-1)
	st.sendCond.Signal()
}

// writeStopped reports whether a write that waits for room must give up.
func (st *Stream) writeStopped() error {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	return st.sendStopped()
}

// sendStopped is why nothing may be sent now, or nil. Called with sendMu held.
func (st *Stream) sendStopped() error {
	switch {
	case st.sendErr != nil:
		return st.sendErr
	case st.finishing:
		return net.ErrClosed
	case st.sendEnd.passed:
		return errDeadline
	}
	return nil
}

// sendError is why nothing can be sent any more.
func (st *Stream) sendError() error {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	if st.sendErr != nil {
		return st.sendErr
	}
	return net.ErrClosed
}

// CloseWrite half-closes the stream: the peer reads what was written, then
// EOF. A Write under way fails. CloseWrite does not wait.
func (st *Stream) CloseWrite() error {
	st.sendMu.Lock()
	already := st.finishing
	st.finishing = true
	st.sendCond.Broadcast()
	st.sendMu.Unlock()
	if already {
		return nil
	}
	st.session.out.wake(st)
	st.session.out.finish(st)
	st.ended()
	return nil
}

// Close ends both halves: the peer reads what was written, then EOF, and what
// it sends later is answered with a reset. Unread data is dropped.
func (st *Stream) Close() error {
	st.session.out.discard(st)
	_ = st.CloseWrite() // never fails
	st.recv.stop(st, net.ErrClosed, true)
	st.ended()
	return nil
}

// WriteClose sends p, waiting as Write does, and closes the stream behind it.
// A short p and the end leave together, and so mostly arrive in one read.
func (st *Stream) WriteClose(p []byte) error {
	if !st.writeLast(p) {
		if _, err := st.Write(p); err != nil {
			return err
		}
	}
	return st.Close()
}

// writeLast sends p and the end of our half. It reports whether it has: if it
// would have to wait it does nothing.
func (st *Stream) writeLast(p []byte) bool {
	if len(p) > shortWrite {
		return false
	}
	st.writing.Lock()
	defer st.writing.Unlock()
	st.sendMu.Lock()
	may := st.sendStopped() == nil && st.credit >= int64(len(p))
	if may {
		st.credit -= int64(len(p))
	}
	st.sendMu.Unlock()
	if !may || !st.session.out.sendLast(st, p) {
		if may {
			st.refund(len(p))
		}
		return false
	}
	st.wrote(len(p))
	return true
}

// Reset ends both halves at once with a code for the peer. Use Abort unless
// the peer is known to wake its readers on a reset.
func (st *Stream) Reset(code frame.ErrorCode) { st.reset(code, true) }

// Abort cancels the stream. The server sends FIN, then RST, because some agents
// leave a blocked reader asleep on RST alone (agent-protocol.md, hazard H4).
func (st *Stream) Abort() { st.abort(true) }

func (st *Stream) reset(code frame.ErrorCode, flushNow bool) {
	st.breakOff(code, false, flushNow)
}

func (st *Stream) abort(flushNow bool) {
	// The agents in question are clients. A client's FIN would make a stream
	// that was cut off look complete to the edge.
	st.breakOff(frame.StreamCancelled, st.session.conf.Role == Server, flushNow)
}

// breakOff sends the last frames of a stream, unless it never was on the wire
// or both halves are closed already, and fails it on our side.
func (st *Stream) breakOff(code frame.ErrorCode, fin, flushNow bool) {
	if !st.forgotten.Load() && !st.failed() {
		st.session.out.breakOff(st, code, fin, flushNow)
	}
	err := &StreamError{Code: code}
	st.fail(err)
	st.recv.stop(st, err, true)
	st.session.forget(st)
}

// fail ends both halves with err. What was received before stays readable.
func (st *Stream) fail(err error) {
	st.sendMu.Lock()
	if st.sendErr == nil {
		st.sendErr = err
		if st.onFail != nil {
			go st.onFail(err)
		}
	}
	st.sendCond.Broadcast()
	st.sendMu.Unlock()
	st.sendDone.Store(true) // only now: whoever sees it finds the cause
	st.session.out.wake(st)
	st.recv.stop(st, err, false)
}

// whenFailed has f called on its own goroutine when the stream is reset or
// loses its session, at once if that has happened.
func (st *Stream) whenFailed(f func(error)) {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	st.onFail = f
	if st.sendErr != nil {
		go f(st.sendErr)
	}
}

// failed reports whether the stream was reset or lost its session.
func (st *Stream) failed() bool {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	return st.sendErr != nil
}

// ended forgets the stream once both halves are closed.
func (st *Stream) ended() {
	if st.sendDone.Load() && st.recvDone.Load() {
		st.session.forget(st)
	}
}

// SetDeadline sets both deadlines; see net.Conn.
func (st *Stream) SetDeadline(t time.Time) error {
	_ = st.SetReadDeadline(t) // neither fails
	return st.SetWriteDeadline(t)
}

// SetReadDeadline bounds Read and WriteTo; see net.Conn.
func (st *Stream) SetReadDeadline(t time.Time) error {
	st.recv.end.set(&st.recv.mu, t, st.recv.cond.Broadcast)
	if st.forgotten.Load() {
		st.stopTimers()
	}
	return nil
}

// SetWriteDeadline bounds Write; see net.Conn.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	st.sendEnd.set(&st.sendMu, t, func() {
		st.sendCond.Broadcast()
		st.session.out.wake(st)
	})
	if st.forgotten.Load() {
		st.stopTimers()
	}
	return nil
}

// stopTimers lets the memory of a stream go on which nothing waits any more.
func (st *Stream) stopTimers() {
	st.recv.end.stop(&st.recv.mu)
	st.sendEnd.stop(&st.sendMu)
}

// deadline is a moment after which calls fail. Its fields are guarded by the
// lock given to set.
type deadline struct {
	timer  *time.Timer
	passed bool
}

// set moves the deadline; wake is called without mu once it has passed.
func (d *deadline) set(mu *sync.Mutex, t time.Time, wake func()) {
	if d.move(mu, t, wake) {
		wake()
	}
}

// move reports whether t has passed already.
func (d *deadline) move(mu *sync.Mutex, t time.Time, wake func()) bool {
	d.stop(mu)
	mu.Lock()
	defer mu.Unlock()
	d.passed = false
	if t.IsZero() {
		return false
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		return true
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		mu.Lock()
		current := d.timer == timer
		d.passed = d.passed || current
		mu.Unlock()
		if current {
			wake()
		}
	})
	d.timer = timer
	return false
}

// stop forgets the moment unless it has passed.
func (d *deadline) stop(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
