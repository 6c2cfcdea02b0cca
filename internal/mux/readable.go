package mux

// Readable reports whether a Read would return without waiting: bytes have
// come, or the end. A client that keeps a stream for another exchange uses it
// to see that nothing came unasked and that the peer is still there.
func (st *Stream) Readable() bool {
	r := &st.recv
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.chunks) > 0 || r.err != nil
}
