package mux

// HighWater is how much data waits for the transport before writers queue.
const HighWater = highWater

// Unread returns how much memory received data takes that waits for its
// readers, in bytes.
func (s *Session) Unread() int64 { return s.unread.Load() }

// Session returns the session that carries the stream.
func (st *Stream) Session() *Session { return st.session }

// SetNextID sets the id of the next stream that s opens.
func (s *Session) SetNextID(id uint32) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.nextID = id
}

// Counters returns what must be zero once every stream is closed.
func (s *Session) Counters() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]int64{
		"streams":  int64(len(s.streams)),
		"open":     int64(s.open),
		"unacked":  int64(s.unacked),
		"peerOpen": int64(s.peerOpen),
		"openers":  int64(s.openers),
		"waiting":  int64(len(s.waiting)),
		"unread":   s.unread.Load(),
	}
}

// Output returns the memory that waits to be sent, in bytes.
func (s *Session) Output() int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return cap(s.out.control) + cap(s.out.data)
}

// Discard does what Close does first to a stream that was never used.
func (st *Stream) Discard() { st.session.out.discard(st) }

// Flushes returns how often the output was sent.
func (s *Session) Flushes() int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return int(s.out.flushes) //nolint:gosec // a count
}

// Credit returns how much the peer lets us send, in bytes.
func (st *Stream) Credit() int64 {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	return st.credit
}
