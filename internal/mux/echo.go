package mux

import "github.com/culvert-project/culvert/internal/mux/frame"

// Handle has f called for every stream that the peer opens, instead of keeping
// it for Accept. The session reader calls f, which must not wait; MaxStreams
// bounds what it starts. Call it before Run.
func (s *Session) Handle(f func(*Stream)) { s.in.opened = f }

// Echo sends back what arrives on the stream, what has arrived first. It
// returns at once and takes the place of Read: the session reader does the
// work, so that a stream that beats once in ten seconds costs no goroutine.
// When the peer ends its half, or gives no credit for the echo, the stream is
// reset; ended is called then, and when the stream ends in any other way.
func (st *Stream) Echo(ended func()) {
	r := &st.recv
	var buf [64]byte
	for {
		r.mu.Lock()
		n, freed := r.take(buf[:])
		if n == 0 && r.err == nil {
			r.echo = ended
		}
		over := r.err != nil
		credit := st.consume(n, freed)
		r.mu.Unlock()
		st.took(freed, credit, true)
		switch {
		case n > 0:
			st.echo(buf[:n], true)
		case over:
			st.Reset(frame.StreamCancelled)
			ended()
			return
		default:
			return
		}
	}
}

// echo sends b without waiting.
func (st *Stream) echo(b []byte, flushNow bool) {
	st.sendMu.Lock()
	may := st.sendStopped() == nil && st.credit >= int64(len(b))
	if may {
		st.credit -= int64(len(b))
	}
	st.sendMu.Unlock()
	if !may {
		st.reset(frame.EnhanceYourCalm, flushNow)
		return
	}
	o := &st.session.out
	o.mu.Lock()
	for len(b) > 0 {
		n := min(len(b), frame.MaxSend)
		if err := o.append(st, 0, b[:n]); err != nil {
			break // stream or session has ended
		}
		b = b[n:]
	}
	o.settle(flushNow)
}
