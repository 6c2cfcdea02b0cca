package mux

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
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
	maxOutput = 4 << 20
	// smallControl is the most that the session reader sends by itself.
	smallControl = 4 << 10
	// flushRounds is how often a writer flushes what others append before a
	// goroutine takes over, so that its own call returns.
	flushRounds = 4
	// stall is how long the transport may take nothing of a write before the
	// session ends, and refresh how often the deadline is moved on.
	stall   = 35 * time.Second
	refresh = 5 * time.Second
	// goodbye bounds the attempt to send a GOAWAY.
	goodbye = 250 * time.Millisecond
)

// output is the sending side of a session.
type output struct {
	session *Session
	conn    net.Conn
	batch   *netx.Batch // below TLS; nil where there is none

	mu       sync.Mutex
	idle     sync.Cond // signalled when flushing ends
	control  []byte    // WNDINC frames, ahead of data
	data     []byte
	queue    []*Stream // streams whose write waits for room, first come first served
	nextID   uint32    // of the next stream we open
	last     uint32    // stream of the newest frame
	mixed    bool      // frames of several streams since the last flush
	flushing bool
	closed   bool // no frame may be appended any more
	deadline time.Time
}

// pending is the write of one stream that waits for room.
type pending struct {
	payload []byte
	queued  bool
	err     error // why it was dropped
	done    sync.Cond
}

// send appends one DATA frame for st and flushes. It waits for room, the
// stream's write deadline and the end of the session. payload is at most
// frame.MaxSend bytes including the stream's unsent head.
func (o *output) send(st *Stream, payload []byte) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return o.session.Err()
	}
	if len(o.queue) == 0 && len(o.data) < highWater {
		err := o.append(st, 0, payload)
		o.flush()
		return err
	}
	p := &st.pending
	p.payload, p.queued, p.err = payload, true, nil
	o.queue = append(o.queue, st)
	defer o.mu.Unlock()
	for p.queued && !o.closed {
		if err := st.writeStopped(); err != nil {
			o.queue = slices.DeleteFunc(o.queue, func(q *Stream) bool { return q == st })
			p.queued, p.payload = false, nil
			return err
		}
		p.done.Wait()
	}
	if p.queued {
		p.queued, p.payload = false, nil
		return o.session.Err()
	}
	return p.err
}

// append adds a DATA frame, opening the stream when its SYN is still unsent.
// Called with mu held.
func (o *output) append(st *Stream, flags frame.Flags, payload []byte) error {
	if st.sendDone.Load() {
		return st.sendError()
	}
	if st.head != nil {
		return o.appendSYN(st, flags, payload)
	}
	if st.id != o.last {
		o.mixed, o.last = o.mixed || o.last != 0, st.id
	}
	o.data = frame.AppendData(grow(o.data, frame.HeaderSize+len(payload)), st.id, flags, payload)
	return nil
}

// appendSYN gives the stream its id and sends the head with the first bytes.
func (o *output) appendSYN(st *Stream, flags frame.Flags, payload []byte) error {
	if o.nextID > frame.MaxStreamID {
		return ErrStreamsExhausted
	}
	st.id = o.nextID
	o.nextID += 2
	if err := o.session.register(st); err != nil {
		return err
	}
	if o.last != 0 {
		o.mixed = true
	}
	o.last = st.id
	n := len(st.head) + len(payload)
	o.data = grow(o.data, frame.HeaderSize+n)
	o.data = frame.Header{Type: frame.Data, Flags: frame.SYN, Length: uint32(n), StreamID: st.id}.Append(o.data) //nolint:gosec // at most MaxSend
	o.data = append(o.data, st.head...)
	o.data = append(o.data, payload...)
	st.head = nil
	st.opened.Store(true)
	if flags&frame.FIN != 0 {
		// SYN and FIN never share a frame: some peers close both halves.
		o.data = frame.AppendData(grow(o.data, frame.HeaderSize), st.id, frame.FIN, nil)
	}
	return nil
}

// answer adds an RST for a stream that is not known, on behalf of the session
// reader.
func (o *output) answer(id uint32, code frame.ErrorCode) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.data = frame.AppendRST(grow(o.data, 12), id, code)
	o.settle(false)
}

// credit adds a WNDINC frame.
func (o *output) credit(id, n uint32, flushNow bool) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.control = frame.AppendWndInc(grow(o.control, 12), id, n)
	o.settle(flushNow)
}

// settle flushes, except for the session reader, which flushes once before it
// waits. Frames added without waiting for room are bounded here. Called with
// mu held; returns without it.
func (o *output) settle(flushNow bool) {
	if len(o.control)+len(o.data) > maxOutput {
		o.mu.Unlock()
		o.session.overflow()
		return
	}
	if !flushNow {
		o.mu.Unlock()
		return
	}
	o.flush()
}

// flush writes until the buffers are empty, unless somebody else is at it.
// Called with mu held; returns without it.
func (o *output) flush() {
	if o.flushing || o.empty() {
		o.mu.Unlock()
		return
	}
	o.flushing = true
	if o.mixed {
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
	o.drain(flushRounds)
}

// flushFromReader sends what the session reader has queued. The reader must
// not wait for the transport: the peer's reader could be waiting for us.
func (o *output) flushFromReader() {
	o.mu.Lock()
	if o.flushing || o.empty() {
		o.mu.Unlock()
		return
	}
	o.flushing = true
	if len(o.data) > 0 || o.batch == nil || len(o.control) > smallControl {
		o.handOver()
		return
	}
	control := o.control
	o.control = nil
	o.arm()
	o.mu.Unlock()

	o.batch.Hold()
	_, err := o.conn.Write(control)
	putBuffer(control)
	sent := true
	if err == nil {
		sent, err = o.batch.TryRelease()
	}
	o.mu.Lock()
	if err != nil {
		o.fail(err)
		return
	}
	if !sent || !o.empty() {
		o.handOver()
		return
	}
	o.done()
	o.mu.Unlock()
}

// handOver lets a goroutine of the session go on flushing. Called with mu
// held and flushing set; returns without mu.
func (o *output) handOver() {
	if o.closed {
		o.done()
		o.mu.Unlock()
		return
	}
	o.session.wg.Go(func() {
		var err error
		if o.batch != nil {
			err = o.release()
		}
		o.mu.Lock()
		if err != nil {
			o.fail(err)
			return
		}
		o.drain(-1)
	})
	o.mu.Unlock()
}

// drain writes rounds until nothing is left, or hands over after so many
// rounds. Called with mu held and flushing set; returns without mu.
func (o *output) drain(rounds int) {
	for ; ; rounds-- {
		o.admit()
		if o.empty() {
			o.done()
			o.mu.Unlock()
			return
		}
		if rounds == 0 {
			o.handOver()
			return
		}
		control, data := o.control, o.data
		o.control, o.data, o.mixed, o.last = nil, nil, false, 0
		o.arm()
		o.mu.Unlock()
		err := o.write(control, data)
		putBuffer(control)
		putBuffer(data)
		o.mu.Lock()
		if err != nil {
			o.fail(err)
			return
		}
	}
}

// admit moves queued writes into the buffer, one frame of each stream.
func (o *output) admit() {
	for len(o.queue) > 0 && len(o.data) < highWater {
		st := o.queue[0]
		o.queue = o.queue[1:]
		p := &st.pending
		p.err = o.append(st, 0, p.payload)
		p.payload, p.queued = nil, false
		p.done.Signal()
	}
	if len(o.queue) == 0 {
		o.queue = nil
	}
}

// write sends both buffers in one system call where the transport allows.
func (o *output) write(control, data []byte) error {
	if o.batch == nil {
		if len(control) > 0 {
			data = append(control, data...)
		}
		_, err := o.conn.Write(data)
		return err
	}
	o.batch.Hold()
	for _, b := range [2][]byte{control, data} {
		if len(b) == 0 {
			continue
		}
		if _, err := o.conn.Write(b); err != nil {
			return err
		}
	}
	return o.release()
}

// release sends what the batch holds for as long as the transport takes any of
// it: a slow link is no dead one.
func (o *output) release() error {
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

// fail ends the session because the transport does not take our frames.
// Called with mu held and flushing set; returns without mu.
func (o *output) fail(err error) {
	o.done()
	o.mu.Unlock()
	code := frame.PeerEOF
	if errors.Is(err, os.ErrDeadlineExceeded) {
		code = frame.WriteTimeout
	}
	o.session.end(&SessionError{Code: code, Cause: fmt.Errorf("write: %w", err)})
}

// close stops frames for good and tries to send a last one. After it, no
// flush is under way.
func (o *output) close(last []byte) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.closed = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(goodbye))
	for o.flushing {
		o.idle.Wait()
	}
	data, control := append(o.data, last...), o.control
	o.data, o.control = nil, nil
	queue := o.queue
	o.queue = nil
	o.mu.Unlock()
	for _, st := range queue {
		o.wake(st)
	}
	if len(last) > 0 {
		_ = o.write(control, data) // best effort: the transport closes next
	}
}

// wake lets a queued write look at its deadline and at the session again.
func (o *output) wake(st *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	st.pending.done.Broadcast()
}

func (o *output) empty() bool {
	return len(o.control) == 0 && len(o.data) == 0 && len(o.queue) == 0
}

func (o *output) done() {
	o.flushing = false
	o.idle.Broadcast()
}
