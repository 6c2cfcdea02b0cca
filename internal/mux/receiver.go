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
	echo     func()      // told of the end of an Echo, which takes data likewise
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
	st.session.out.openNow(st)
	r.mu.Lock()
	freed := 0
	for {
		if r.end.passed {
			err = errDeadline
			break
		}
		if n, freed = r.take(p); n > 0 {
			break
		}
		if r.err != nil {
			err = r.err
			break
		}
		r.want, r.got = p, 0
		r.cond.Wait()
		n = r.got
		r.want, r.got = nil, 0
		if n > 0 {
			break
		}
	}
	credit := st.consume(n, freed)
	r.mu.Unlock()
	st.took(freed, credit, true)
	return n, err
}

// WriteTo hands received bytes to w without copying them first. It returns at
// the peer's FIN with a nil error.
func (st *Stream) WriteTo(w io.Writer) (n int64, err error) {
	r := &st.recv
	r.reading.Lock()
	defer r.reading.Unlock()
	st.session.out.openNow(st)
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
		st.release(c)
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

// take copies queued bytes and returns how many, and how much memory that has
// freed. Called with mu held.
func (r *receiver) take(p []byte) (n, freed int) {
	for len(r.chunks) > 0 && n < len(p) {
		c := &r.chunks[0]
		m := copy(p[n:], c.buf[c.r:c.w])
		c.r, n = c.r+m, n+m
		if c.r == c.w {
			freed += c.free()
			r.pop()
		}
	}
	return n, freed
}

// release gives back a chunk that was taken off the queue and used.
func (st *Stream) release(c chunk) {
	n := c.w - c.r
	freed := c.free()
	st.recv.mu.Lock()
	credit := st.consume(n, freed)
	st.recv.mu.Unlock()
	st.took(freed, credit, true)
}

// consume counts n bytes that left the stream and the memory that this freed,
// and returns the credit to give back: half a window at a time, less while
// memory is short, and none once the peer has finished. Called with the
// receiver's mu held.
func (st *Stream) consume(n, freed int) uint32 {
	r := &st.recv
	held := st.held.Add(int64(-freed))
	r.consumed += int64(n)
	if r.err != nil {
		return 0
	}
	credit, least := r.consumed, int64(Window/2)
	if st.session.pressed() {
		// What is held and what may still come shall not exceed shortWindow. A
		// stream that holds nothing and has no window left gets at least half.
		credit, least = min(credit, shortWindow-held-r.window), shortWindow/2
	}
	if credit < least {
		return 0
	}
	r.window += credit
	r.consumed -= credit
	return uint32(credit) //nolint:gosec // at most a window
}

// took settles what a reader has taken: memory that is free again, and credit
// for the peer.
func (st *Stream) took(freed int, credit uint32, flushNow bool) {
	if freed > 0 {
		st.session.queued(int64(-freed))
	}
	if credit > 0 {
		st.session.out.credit(st, credit, flushNow)
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
		return // the stream has failed
	}
	if r.echo != nil {
		credit := st.consume(len(b), 0)
		r.mu.Unlock()
		st.took(0, credit, false)
		st.echo(b, false)
		return
	}
	if r.want != nil && len(r.chunks) == 0 {
		m := copy(r.want[r.got:], b)
		r.got += m
		b = b[m:]
		r.cond.Signal()
	}
	var credit uint32
	if r.sink != nil && len(b) > 0 && len(r.chunks) == 0 && !r.sink.draining {
		m := r.sink.write(b)
		credit = st.consume(m, 0)
		b = b[m:]
	}
	grown := 0
	if len(b) > 0 {
		grown = r.push(b)
		st.held.Add(int64(grown))
		if r.sink != nil {
			r.sink.startDrain()
		} else {
			r.cond.Signal()
		}
	}
	r.mu.Unlock()
	st.took(0, credit, false)
	if grown > 0 {
		st.session.queued(int64(grown))
	}
}

// push queues a copy of b and returns how much memory that has taken. Called
// with mu held.
func (r *receiver) push(b []byte) (grown int) {
	for len(b) > 0 {
		if n := len(r.chunks); n == 0 || r.chunks[n-1].w == len(r.chunks[n-1].buf) {
			c := newChunk(len(b))
			grown += len(c.buf)
			r.chunks = append(r.chunks, c)
		}
		c := &r.chunks[len(r.chunks)-1]
		m := copy(c.buf[c.w:], b)
		c.w += m
		b = b[m:]
	}
	return grown
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
	freed := 0
	if discard {
		freed = r.drop()
		st.held.Add(int64(-freed))
	}
	r.cond.Broadcast()
	if sink := r.sink; sink != nil && !sink.draining {
		defer sink.finish(r.err)
	}
	echo := r.echo
	r.echo = nil
	r.mu.Unlock()
	if echo != nil {
		defer echo()
		defer st.Reset(frame.StreamCancelled)
	}
	st.recvDone.Store(true)
	st.took(freed, 0, false)
}

// drop frees what waits unread and returns how much memory that was. Called
// with mu held.
func (r *receiver) drop() (freed int) {
	for i := range r.chunks {
		freed += r.chunks[i].free()
	}
	r.chunks = nil
	return freed
}

// finished reports whether the peer has ended its half regularly.
func (r *receiver) finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err == io.EOF //nolint:errorlint // our own value
}
