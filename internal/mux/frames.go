package mux

import "github.com/culvert-project/culvert/internal/mux/frame"

// append adds a DATA frame, opening the stream when its SYN is still unsent.
// Called with mu held.
func (o *output) append(st *Stream, flags frame.Flags, payload []byte) error {
	switch {
	case o.closed:
		return o.session.Err()
	case st.sendDone.Load():
		return st.sendError()
	case st.head != nil:
		return o.appendSYN(st, flags, payload)
	}
	o.newest(st.id)
	o.data = frame.AppendData(grow(o.data, frame.HeaderSize+len(payload)), st.id, flags, payload)
	return nil
}

// newest notes which stream the newest frame belongs to.
func (o *output) newest(id uint32) {
	o.mixed = o.mixed || o.last != 0 && o.last != id
	o.last = id
}

// appendSYN gives the stream its id and sends the head with the first bytes.
func (o *output) appendSYN(st *Stream, flags frame.Flags, payload []byte) error {
	if o.nextID > frame.MaxStreamID {
		// The session is of no more use: its owner makes another.
		o.session.wg.Go(func() { o.session.CloseWith(frame.StreamsExhausted, ErrStreamsExhausted) })
		return ErrStreamsExhausted
	}
	st.id = o.nextID
	o.nextID += 2
	if err := o.session.register(st); err != nil {
		return err
	}
	o.newest(st.id)
	n := len(st.head) + len(payload)
	o.data = grow(o.data, 2*frame.HeaderSize+n)
	o.data = frame.Header{Type: frame.Data, Flags: frame.SYN, Length: uint32(n), StreamID: st.id}.Append(o.data) //nolint:gosec // at most MaxSend
	o.data = append(o.data, st.head...)
	o.data = append(o.data, payload...)
	st.head = nil
	st.opened.Store(true)
	if flags&frame.FIN != 0 {
		// SYN and FIN never share a frame: some peers close both halves.
		o.data = frame.AppendData(o.data, st.id, frame.FIN, nil)
	}
	return nil
}

// openNow sends a stream's SYN if it is still unsent. Afterwards the stream is
// open or has failed.
func (o *output) openNow(st *Stream) {
	if st.opened.Load() {
		return
	}
	o.mu.Lock()
	var err error
	switch {
	case st.opened.Load():
		o.mu.Unlock()
		return
	case st.head == nil && !o.closed:
		err = st.sendError() // it was closed unsent
	default:
		err = o.append(st, 0, nil)
	}
	if err != nil {
		o.mu.Unlock()
		st.fail(err)
		return
	}
	o.flush()
}

// finish sends the FIN of a stream, opening it first when need be.
func (o *output) finish(st *Stream) {
	o.mu.Lock()
	if o.closed || st.sendDone.Load() {
		o.mu.Unlock()
		st.sendDone.Store(true)
		return
	}
	if err := o.append(st, frame.FIN, nil); err != nil {
		o.mu.Unlock()
		st.fail(err)
		return
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

// breakOff sends the RST of a stream, behind a FIN where asked for, without
// waiting for room.
func (o *output) breakOff(st *Stream, code frame.ErrorCode, fin, flushNow bool) {
	o.mu.Lock()
	fin = !st.sendDone.Swap(true) && fin
	if !st.opened.Load() || st.cut || o.closed { // never was on the wire, or is no more
		o.mu.Unlock()
		return
	}
	st.cut = true
	o.data = grow(o.data, 32)
	if fin {
		o.data = frame.AppendData(o.data, st.id, frame.FIN, nil)
	}
	o.data = frame.AppendRST(o.data, st.id, code)
	o.settle(flushNow)
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
func (o *output) credit(st *Stream, n uint32, flushNow bool) {
	o.mu.Lock()
	if o.closed || st.cut {
		o.mu.Unlock()
		return
	}
	o.control = frame.AppendWndInc(grow(o.control, 12), st.id, n)
	o.settle(flushNow)
}

// settle flushes, except for the session reader, which flushes once before it
// waits. Frames added without waiting for room are bounded here. Called with
// mu held; returns without it.
func (o *output) settle(flushNow bool) {
	switch {
	case len(o.control)+len(o.data) > maxOutput:
		o.mu.Unlock()
		o.session.overflow()
	case flushNow:
		o.flush()
	default:
		o.owed = true
		o.mu.Unlock()
	}
}
