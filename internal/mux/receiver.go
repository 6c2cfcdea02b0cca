package mux

import (
	"io"
	"sync"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

// receiver is the receiving half of a stream. The session reader delivers into
// it and never waits.
type receiver struct {
	reading sync.Mutex // serialises Read and WriteTo

	mu       sync.Mutex
	cond     sync.Cond
	chunks   []chunk // received and not yet read
	want     []byte  // buffer of a Read that waits
	got      int     // bytes delivered into want
	err      error   // after the chunks: io.EOF or why the stream failed
	window   int64   // bytes the peer may still send
	consumed int64   // bytes that left since credit was last returned
	end      deadline
	sink     *socketSink // takes data instead of Read, see Splice
}

// Read returns received bytes; io.EOF after the peer's FIN, a *StreamError
// after a reset, the session's cause after its end.
func (st *Stream) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	r := &st.recv
	r.reading.Lock()
	defer r.reading.Unlock()
	r.mu.Lock()
	queued := 0
	for {
		if r.end.passed {
			err = errDeadline
			break
		}
		if n = r.take(p); n > 0 {
			queued = n
			break
		}
		if r.err != nil {
			err = r.err
			break
		}
		if !st.opened.Load() {
			r.mu.Unlock()
			st.session.out.openNow(st)
			r.mu.Lock()
			continue
		}
		r.want, r.got = p, 0
		r.cond.Wait()
		n = r.got
		r.want, r.got = nil, 0
		if n > 0 {
			break
		}
	}
	credit := r.consume(n)
	r.mu.Unlock()
	st.took(queued, credit, true)
	return n, err
}

// WriteTo hands received bytes to w without copying them first. It returns at
// the peer's FIN with a nil error.
func (st *Stream) WriteTo(w io.Writer) (n int64, err error) {
	r := &st.recv
	r.reading.Lock()
	defer r.reading.Unlock()
	if !st.opened.Load() {
		st.session.out.openNow(st)
	}
	for {
		c, err := r.next()
		if err == io.EOF { //nolint:errorlint // our own value
			return n, nil
		}
		if err != nil {
			return n, err
		}
		m, err := w.Write(c.buf[c.r:c.w])
		n += int64(m)
		size := c.w - c.r
		c.free()
		r.mu.Lock()
		credit := r.consume(size)
		r.mu.Unlock()
		st.took(size, credit, true)
		if err != nil {
			return n, err
		}
	}
}

// next waits for a chunk and takes it off the queue.
func (r *receiver) next() (chunk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.end.passed:
			return chunk{}, errDeadline
		case len(r.chunks) > 0:
			return r.pop(), nil
		case r.err != nil:
			return chunk{}, r.err
		}
		r.cond.Wait()
	}
}

func (r *receiver) pop() chunk {
	c := r.chunks[0]
	r.chunks[0] = chunk{}
	r.chunks = r.chunks[1:]
	if len(r.chunks) == 0 {
		r.chunks = nil
	}
	return c
}

// take copies queued bytes. Called with mu held.
func (r *receiver) take(p []byte) (n int) {
	for len(r.chunks) > 0 && n < len(p) {
		c := &r.chunks[0]
		m := copy(p[n:], c.buf[c.r:c.w])
		c.r, n = c.r+m, n+m
		if c.r == c.w {
			c.free()
			r.pop()
		}
	}
	return n
}

// consume counts bytes that left our memory, and returns the credit to give
// back: half a window at a time, and none once the peer has finished. Called
// with mu held.
func (r *receiver) consume(n int) uint32 {
	r.consumed += int64(n)
	if r.consumed < Window/2 || r.err != nil {
		return 0
	}
	credit := r.consumed
	r.window += credit
	r.consumed = 0
	return uint32(credit) //nolint:gosec // at most a window
}

// took settles what a reader has taken: queued bytes that are free again, and
// credit for the peer.
func (st *Stream) took(queued int, credit uint32, flushNow bool) {
	if queued > 0 {
		st.held.Add(int64(-queued))
		st.session.queued(int64(-queued))
	}
	if credit > 0 {
		st.session.out.credit(st.id, credit, flushNow)
	}
}

// charge takes n bytes off the peer's window and reports whether it had them.
func (st *Stream) charge(n uint32) bool {
	st.recv.mu.Lock()
	defer st.recv.mu.Unlock()
	st.recv.window -= int64(n)
	return st.recv.window >= 0
}

// deliver takes payload from the session reader. Called by it alone.
func (st *Stream) deliver(b []byte) {
	r := &st.recv
	r.mu.Lock()
	if r.err != nil {
		r.mu.Unlock()
		return // data behind the end, or for a stream that failed
	}
	if r.want != nil && len(r.chunks) == 0 {
		m := copy(r.want[r.got:], b)
		r.got += m
		b = b[m:]
		r.cond.Signal()
	}
	var credit uint32
	var err error
	if r.sink != nil && len(b) > 0 && len(r.chunks) == 0 && !r.sink.draining {
		var m int
		m, err = r.sink.write(b)
		credit = r.consume(m)
		b = b[m:]
	}
	queued := len(b)
	if err == nil && queued > 0 {
		r.push(b)
		st.held.Add(int64(queued))
		if r.sink != nil {
			r.sink.startDrain()
		} else {
			r.cond.Signal()
		}
	}
	r.mu.Unlock()
	switch {
	case err != nil:
		st.abort(false)
	default:
		st.took(0, credit, false)
		if queued > 0 {
			st.session.queued(int64(queued))
		}
	}
}

// push queues a copy of b. Called with mu held.
func (r *receiver) push(b []byte) {
	for len(b) > 0 {
		if n := len(r.chunks); n == 0 || r.chunks[n-1].w == len(r.chunks[n-1].buf) {
			r.chunks = append(r.chunks, newChunk(len(b)))
		}
		c := &r.chunks[len(r.chunks)-1]
		m := copy(c.buf[c.w:], b)
		c.w += m
		b = b[m:]
	}
}

// deliverFIN notes the peer's half-close.
func (st *Stream) deliverFIN() {
	st.recv.stop(st, io.EOF, false)
	st.ended()
}

// stop ends the receiving half with err; the first end wins. With discard,
// what waits unread is dropped.
func (r *receiver) stop(st *Stream, err error, discard bool) {
	r.mu.Lock()
	if r.err == nil || discard {
		r.err = err
	}
	r.cond.Broadcast()
	if sink := r.sink; sink != nil && !sink.draining {
		defer sink.finish(r.err)
	}
	r.mu.Unlock()
	st.recvDone.Store(true)
	if discard {
		r.drop(st)
	}
}

// drop frees what waits unread.
func (r *receiver) drop(st *Stream) {
	r.mu.Lock()
	freed := 0
	for i := range r.chunks {
		freed += r.chunks[i].w - r.chunks[i].r
		r.chunks[i].free()
	}
	r.chunks = nil
	r.mu.Unlock()
	st.took(freed, 0, false)
}

// finish sends the FIN of a stream, opening it first when need be.
func (o *output) finish(st *Stream) {
	o.mu.Lock()
	if o.closed || st.sendDone.Load() {
		o.mu.Unlock()
		st.sendDone.Store(true)
		return
	}
	if st.head != nil {
		if err := o.append(st, frame.FIN, nil); err != nil {
			o.mu.Unlock()
			st.fail(err)
			return
		}
	} else {
		o.data = frame.AppendData(grow(o.data, frame.HeaderSize), st.id, frame.FIN, nil)
	}
	st.sendDone.Store(true)
	o.flush()
}

// discard forgets the SYN of a stream that was never used.
func (o *output) discard(st *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if st.head != nil {
		st.head = nil
		st.sendDone.Store(true)
	}
}

// breakOff sends the last frames of a stream without waiting for room.
func (o *output) breakOff(st *Stream, flushNow bool, add func(b []byte, fin bool) []byte) {
	o.mu.Lock()
	fin := !st.sendDone.Swap(true)
	if st.head != nil || o.closed { // never was on the wire, or nothing is any more
		o.mu.Unlock()
		return
	}
	o.data = add(grow(o.data, 32), fin)
	o.settle(flushNow)
}

// openNow sends a stream's SYN if it is still unsent.
func (o *output) openNow(st *Stream) {
	o.mu.Lock()
	if o.closed || st.head == nil {
		o.mu.Unlock()
		return
	}
	if err := o.append(st, 0, nil); err != nil {
		o.mu.Unlock()
		st.fail(err)
		return
	}
	o.flush()
}
