package mux

import (
	"io"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// socketSink takes a stream's data into a TCP socket. The session reader
// writes what the socket takes at once; when it takes less, the rest is queued
// and a goroutine drains the queue, until which the sink is passed by.
type socketSink struct {
	pair     *pair
	draining bool // guarded by receiver.mu
	broken   bool // the socket takes nothing more, so what comes is dropped; guarded likewise
	seen     int  // bytes ahead in the queue that the tap has got
	done     chan struct{}
	ended    bool // done is closed; guarded by pair.mu
}

// spliceSocket joins the stream with a TCP socket.
func (p *pair) spliceSocket() {
	sink := &socketSink{pair: p, done: make(chan struct{})}
	p.st.setSink(sink)
	buf := &spliceBuffer{}
	if p.st.opened.Load() || p.sendFirst(buf) {
		p.pump(func(credit int64) (ok bool) {
			buf.limit = credit
			n, err := p.raw.ReadReady(buf)
			if err != nil {
				buf.Drop()
				p.readEnded(err)
				return false
			}
			p.send(buf.buf[:n]) // the next wait for credit tells of a failure
			buf.Drop()
			return true
		})
	}
	<-sink.done
}

// sendFirst opens the stream with what the client has sent already, or without
// anything: its server may be the one to speak first.
func (p *pair) sendFirst(buf *spliceBuffer) bool {
	defer buf.Drop()
	buf.limit = spliceRead // a fresh stream has more credit
	n, err := p.raw.TryRead(buf.Take())
	if err != nil {
		p.readEnded(err)
		return false
	}
	if n > 0 {
		return p.send(buf.buf[:n])
	}
	p.st.session.out.openNow(p.st)
	return true
}

// spliceRead is how much of a socket is read at once: whole frames, which fill
// whole records.
const spliceRead = readSize / (frame.HeaderSize + frame.MaxSend) * frame.MaxSend

// spliceBuffer lends the buffer of one read, of limit bytes at most.
type spliceBuffer struct {
	buf   *[readSize]byte
	limit int64
}

// Take implements netx.BufferSource.
func (b *spliceBuffer) Take() []byte {
	b.buf = readBuffers.Get().(*[readSize]byte)
	return b.buf[:min(b.limit, spliceRead)]
}

// Drop implements netx.BufferSource.
func (b *spliceBuffer) Drop() {
	if b.buf != nil {
		readBuffers.Put(b.buf)
		b.buf = nil
	}
}

var _ netx.BufferSource = (*spliceBuffer)(nil)

// setSink lets sink take what the stream receives, starting with what already
// waits.
func (st *Stream) setSink(sink *socketSink) {
	r := &st.recv
	r.mu.Lock()
	r.sink = sink
	n, freed := r.pour(sink)
	credit := st.consume(n, freed)
	switch {
	case len(r.chunks) > 0:
		sink.startDrain()
	case r.err != nil:
		defer sink.finish(r.err)
	}
	r.mu.Unlock()
	st.took(freed, credit, true)
}

// pour writes what waits into the socket as far as that takes it at once, and
// returns how much that is and how much memory it has freed. Called with mu held.
func (r *receiver) pour(sink *socketSink) (n, freed int) {
	for len(r.chunks) > 0 {
		c := &r.chunks[0]
		m := sink.write(c.buf[c.r:c.w])
		c.r, n = c.r+m, n+m
		if c.r < c.w {
			break
		}
		freed += c.free()
		r.pop()
	}
	return n, freed
}

// write passes on what the socket takes, and drops what it never will. Called
// with receiver.mu held, by the session reader.
func (s *socketSink) write(b []byte) int {
	if s.broken {
		return len(b)
	}
	if s.pair.tap != nil {
		s.pair.tap.ToConn(b)
	}
	n, err := s.pair.raw.WriteReady(b)
	s.pair.passed(n)
	if err != nil {
		s.broken = true
		s.pair.breaks(err)
		go s.pair.writeFailed(err)
		return len(b)
	}
	s.seen = len(b) - n
	return n
}

// startDrain starts the goroutine that empties the queue. Called with
// receiver.mu held.
func (s *socketSink) startDrain() {
	if s.draining {
		return
	}
	s.draining = true
	go s.drain()
}

// drain writes queued data, waiting for the socket. The socket's close ends it,
// and done waits for it.
func (s *socketSink) drain() {
	st := s.pair.st
	r := &st.recv
	for {
		r.mu.Lock()
		if len(r.chunks) == 0 {
			s.draining = false
			err := r.err
			r.mu.Unlock()
			if err != nil {
				s.finish(err)
			}
			return
		}
		c := r.pop()
		broken := s.broken
		r.mu.Unlock()
		if broken {
			st.release(c)
			continue
		}
		if s.pair.tap != nil {
			old := min(s.seen, c.w-c.r)
			s.seen -= old
			if c.r+old < c.w {
				s.pair.tap.ToConn(c.buf[c.r+old : c.w])
			}
		}
		n, err := s.pair.conn.Write(c.buf[c.r:c.w])
		s.pair.passed(n)
		if err != nil {
			r.mu.Lock()
			s.broken = true
			r.mu.Unlock()
			s.pair.writeFailed(err)
		}
		st.release(c)
	}
}

// finish ends the direction towards the socket: with the peer's FIN the socket
// is half-closed if it still can be, with anything else the pair breaks off. The
// session reader may be the caller, so nothing here waits.
func (s *socketSink) finish(err error) {
	p := s.pair
	p.mu.Lock()
	first := !s.ended
	s.ended = true
	p.mu.Unlock()
	if !first {
		return
	}
	if err != io.EOF { //nolint:errorlint // the receiver's own value
		p.note(err)
		_ = netx.CutOff(p.conn) // wakes the reading goroutine, which ends the pair
	} else if err := netx.CloseWrite(p.conn); err != nil {
		p.breaks(err)
		go p.writeFailed(err)
	} else {
		p.lingers(false, true)
	}
	close(s.done)
}
