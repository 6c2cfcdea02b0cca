package mux

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

const (
	// highWater is how many bytes of data may wait for the transport before
	// writers queue.
	highWater = 256 << 10
	// maxOutput ends a session whose peer makes us answer without reading
	// what we answer.
	maxOutput = 512 << 10
	// smallFlush is the most that the session reader sends by itself.
	smallFlush = 4 << 10
	// flushRounds is how often a caller flushes what others append before a
	// goroutine takes over, so that its own call returns.
	flushRounds = 4
	// stall is how long the transport may take nothing of a write before the
	// session ends, and refresh how often the deadline is moved on.
	stall   = 35 * time.Second
	refresh = 5 * time.Second
	// goodbyeTime bounds the attempt to send a GOAWAY, and the wait for the
	// peer's.
	goodbyeTime = 250 * time.Millisecond
)

// output is the sending side of a session. frames.go adds frames to it,
// queue.go makes writers wait for room, and this file sends.
type output struct {
	session *Session
	conn    net.Conn
	batch   *netx.Batch // below TLS; nil where there is none

	mu      sync.Mutex
	idle    sync.Cond // signalled when flushing ends
	control []byte    // WNDINC frames, ahead of data
	data    []byte
	queue   queue
	nextID  uint32 // of the next stream we open
	last    uint32 // stream of the newest frame since the last flush
	before  uint32 // stream of the newest frame before that
	mixed   bool   // frames of several streams since the last flush
	crowded bool   // several streams are active
	flushes uint64 // that have begun

	flushing bool
	broken   bool // the transport failed: what it has may end within a frame
	closed   bool // no frame may be appended any more
	deadline time.Time

	owed bool // the session reader has put off a flush; its own
}

// flush sends what waits, unless somebody else is at it. No caller waits for
// the transport: what it does not take at once is left to a goroutine. Called
// with mu held; returns without it.
func (o *output) flush() {
	if !o.begin() {
		o.mu.Unlock()
		return
	}
	o.yield()
	for range flushRounds {
		if !o.attempt() {
			return
		}
	}
	o.handOver()
}

// yield lets other writers append first where several are active. They share
// the system call then, and keep their shares although their goroutines have
// only just been woken. Called with mu held, which it gives up meanwhile.
func (o *output) yield() {
	if o.crowded {
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
}

// flushFromReader sends what the session reader has put off, before it waits
// for the transport.
func (o *output) flushFromReader() {
	if !o.owed && (o.batch == nil || !o.batch.Pending()) {
		return
	}
	o.owed = false
	o.mu.Lock()
	switch {
	case !o.begin():
		o.mu.Unlock()
	case len(o.control)+len(o.data) > smallFlush:
		o.handOver() // encrypting it all would keep us from reading
	case !o.attempt():
	case o.waiting():
		o.handOver()
	default:
		o.endFlush()
	}
}

// begin reports whether the caller is to flush now. Called with mu held.
func (o *output) begin() bool {
	if o.flushing || o.broken || o.closed || !o.waiting() {
		return false
	}
	o.flushing = true
	return true
}

// waiting reports whether anything is to be sent. TLS adds answers of its own
// to the batch.
func (o *output) waiting() bool {
	return len(o.control) > 0 || len(o.data) > 0 || !o.queue.empty() ||
		o.batch != nil && o.batch.Pending()
}

// attempt sends one round without waiting. It reports whether the caller
// should go on, and keeps mu then; else the flush is over or somebody else's.
func (o *output) attempt() bool {
	if o.batch == nil {
		o.handOver()
		return false
	}
	o.admit()
	if o.closed || !o.waiting() {
		o.endFlush()
		return false
	}
	control, data := o.take()
	o.mu.Unlock()
	err := o.encrypt(control, data)
	sent := false
	if err == nil {
		sent, err = o.batch.TryRelease()
	}
	o.mu.Lock()
	switch {
	case err != nil:
		o.fail(err)
	case !sent:
		o.handOver()
	default:
		return true
	}
	return false
}

// handOver lets a goroutine of the session go on flushing. Called with mu
// held and flushing set; returns without mu.
func (o *output) handOver() {
	if o.closed {
		o.endFlush()
		return
	}
	o.session.wg.Go(o.drain)
	o.mu.Unlock()
}

// drain flushes until nothing is left, waiting for the transport.
func (o *output) drain() {
	err := o.release() // what an attempt has left
	o.mu.Lock()
	for err == nil {
		o.yield()
		o.admit()
		if o.closed || !o.waiting() {
			o.endFlush()
			return
		}
		control, data := o.take()
		o.mu.Unlock()
		err = o.write(control, data)
		o.mu.Lock()
	}
	o.fail(err)
}

// take empties both buffers for a flush. Called with mu held.
func (o *output) take() (control, data []byte) {
	control, data = o.control, o.data
	o.control, o.data = nil, nil
	// Several streams are active when a flush carries frames of more than one,
	// or of another one than the flush before.
	o.crowded = o.mixed || o.last != 0 && o.before != 0 && o.last != o.before
	if o.last != 0 {
		o.before = o.last
	}
	o.mixed, o.last = false, 0
	o.flushes++
	o.arm()
	return control, data
}

// write sends both buffers and waits for the transport to take them.
func (o *output) write(control, data []byte) error {
	if err := o.encrypt(control, data); err != nil {
		return err
	}
	return o.release()
}

// encrypt writes both buffers, which ends in memory where there is a batch,
// and gives them back.
func (o *output) encrypt(control, data []byte) error {
	defer putBuffer(control)
	defer putBuffer(data)
	for _, b := range [2][]byte{control, data} {
		if len(b) == 0 {
			continue
		}
		if _, err := o.conn.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// release sends what the batch holds for as long as the transport takes any of
// it: a slow link is no dead one.
func (o *output) release() error {
	if o.batch == nil {
		return nil
	}
	for {
		progress, err := o.batch.Release()
		if err == nil || !progress || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return err
		}
		o.deadline = time.Time{}
		o.arm()
		o.mu.Unlock()
	}
}

// arm moves the transport's write deadline on. Called with mu held.
func (o *output) arm() {
	now := time.Now()
	if now.Sub(o.deadline) > refresh-stall && !o.closed {
		o.deadline = now.Add(stall)
		_ = o.conn.SetWriteDeadline(o.deadline) // a failure shows in the write
	}
}

// endFlush lets the next flush begin. Called with mu held; returns without it.
func (o *output) endFlush() {
	o.flushing = false
	o.idle.Broadcast()
	o.mu.Unlock()
}

// fail ends the session because the transport does not take our frames.
// Called with mu held and flushing set; returns without mu.
func (o *output) fail(err error) {
	o.broken = true
	o.endFlush()
	cause := &SessionError{Code: frame.PeerEOF, Cause: fmt.Errorf("write: %w", err)}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		cause.Code = frame.WriteTimeout
		o.session.finish(cause)
		return
	}
	// A peer that is gone may have said why: the session reader finds it, or
	// the end of the transport, at once.
	time.AfterFunc(goodbyeTime, func() { o.session.finish(cause) })
}

// shut stops frames for good.
func (o *output) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
	o.queue.wake()
}

// finale waits for a flush under way, sends what is left and a last frame behind
// it, and ends our half of the transport. It reports whether that worked. Called
// once, after shut.
func (o *output) finale(goAway []byte) bool {
	o.mu.Lock()
	for o.flushing {
		o.idle.Wait()
	}
	control, data := o.control, o.data
	o.control, o.data = nil, nil
	broken := o.broken
	o.mu.Unlock()
	if broken || o.encrypt(control, append(data, goAway...)) != nil {
		return false
	}
	if err := netx.CloseWrite(o.conn); err != nil {
		return false
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(goodbyeTime)) // TLS leaves one that has passed
	if err := o.release(); err != nil {
		return false
	}
	_ = netx.CloseWrite(netx.Innermost(o.conn)) // TLS ends its own half only
	return true
}
