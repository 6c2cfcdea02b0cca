package mux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// input is the read buffer of a session. It has memory only while bytes
// arrive: an idle session waits for the eight bytes of a header.
type input struct {
	conn  net.Conn
	batch *netx.Batch
	first [frame.HeaderSize]byte
	buf   *[readSize]byte
	r, w  int
	// opened takes the peer's streams; nil leaves them to Accept.
	opened func(*Stream)
}

// header waits for the next frame. Between frames the session may be idle for
// long, and holds no buffer then.
func (s *Session) header() (frame.Header, error) {
	in := &s.in
	if in.r == in.w && !in.recordBuffered() {
		if err := s.idleRead(); err != nil {
			return frame.Header{}, err
		}
	}
	if err := s.need(frame.HeaderSize); err != nil {
		return frame.Header{}, err
	}
	return frame.ParseHeader(in.take(frame.HeaderSize)), nil
}

// need makes at least n bytes of a frame under way available, n being at most
// HeaderSize.
func (s *Session) need(n int) error {
	for s.in.w-s.in.r < n {
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// idleRead waits for the transport without holding a buffer. Everything that
// was put off to this moment is sent first.
func (s *Session) idleRead() error {
	in := &s.in
	if in.buf != nil {
		readBuffers.Put(in.buf)
		in.buf = nil
	}
	s.out.flushFromReader()
	n, err := in.conn.Read(in.first[:])
	if n > 0 {
		s.heard.Store(time.Now().UnixNano())
		in.buf = readBuffers.Get().(*[readSize]byte)
		in.r, in.w = 0, copy(in.buf[:], in.first[:n])
		return nil // an error comes again with the next read
	}
	return err
}

// more reads what belongs to bytes already here, and then every record that is
// known to be complete, so that one delivery carries several of them.
func (s *Session) more() error {
	in := &s.in
	if in.buf == nil {
		in.buf = readBuffers.Get().(*[readSize]byte)
	}
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
	case in.r > readSize/2:
		in.w = copy(in.buf[:], in.buf[in.r:in.w])
		in.r = 0
	}
	s.out.flushFromReader()
	for {
		n, err := in.conn.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			err = nil // it comes again with the next read
			s.heard.Store(time.Now().UnixNano())
		}
		if err != nil || in.w == readSize || !in.recordBuffered() {
			return err
		}
	}
}

func (in *input) recordBuffered() bool { return in.batch != nil && in.batch.RecordBuffered() }

// take returns n buffered bytes.
func (in *input) take(n int) []byte {
	b := in.buf[in.r : in.r+n]
	in.r += n
	return b
}

// readFrames handles frames until the session ends, and returns why.
func (s *Session) readFrames() *SessionError {
	defer func() {
		if s.in.buf != nil {
			readBuffers.Put(s.in.buf)
			s.in.buf = nil
		}
	}()
	for {
		err := s.readFrame()
		if err == nil {
			continue
		}
		var fe *frame.Error
		var se *SessionError
		switch {
		case errors.As(err, &se):
			return se
		case errors.As(err, &fe):
			return &SessionError{Code: fe.Code, Cause: fe}
		case errors.Is(err, io.EOF):
			return &SessionError{Code: frame.PeerEOF, Remote: true, Cause: io.EOF}
		}
		return &SessionError{Code: frame.PeerEOF, Cause: fmt.Errorf("read: %w", err)}
	}
}

func (s *Session) readFrame() error {
	h, err := s.header()
	if err != nil {
		return err
	}
	if err := h.Check(); err != nil {
		return err
	}
	switch h.Type {
	case frame.Data:
		return s.readData(h)
	case frame.WndInc:
		return s.readWndInc(h)
	case frame.RST:
		return s.readRST(h)
	case frame.GoAway:
		return s.readGoAway(h)
	}
	return s.skip(h.Length)
}

func (s *Session) readWndInc(h frame.Header) error {
	if err := s.need(4); err != nil {
		return err
	}
	n, err := frame.ParseWndInc(s.in.take(4))
	if err != nil {
		return err
	}
	if st := s.lookup(h.StreamID); st != nil {
		s.acknowledge(st)
		st.addCredit(n)
	}
	return nil
}

func (s *Session) readRST(h frame.Header) error {
	if err := s.need(4); err != nil {
		return err
	}
	code := frame.ParseRST(s.in.take(4))
	if st := s.lookup(h.StreamID); st != nil {
		st.fail(&StreamError{Code: code, Remote: true})
		s.forget(st)
	}
	return nil
}

// readGoAway ends the session: the peer takes nothing more, and what follows
// the frame may be garbage.
func (s *Session) readGoAway(h frame.Header) error {
	text := make([]byte, 0, 64)
	for n := min(h.Length, 8+1024); n > 0; {
		if err := s.need(1); err != nil {
			return err
		}
		b := s.in.take(min(int(n), s.in.w-s.in.r))
		text = append(text, b...)
		n -= uint32(len(b)) //nolint:gosec // at most n
	}
	m := frame.ParseGoAway(text)
	cause := io.EOF
	if m.Code != frame.NoError {
		cause = fmt.Errorf("peer said %q", m.Debug)
	}
	return &SessionError{Code: m.Code, Remote: true, Cause: cause}
}

// readData delivers the payload of a DATA frame as it arrives.
func (s *Session) readData(h frame.Header) error {
	st, refusal, err := s.dataStream(h)
	if err != nil {
		return err
	}
	if st == nil {
		if refusal != frame.NoError {
			s.out.answer(h.StreamID, refusal)
		}
		return s.skip(h.Length)
	}
	if h.Flags&frame.SYN != 0 && s.in.opened != nil {
		s.in.opened(st)
	}
	s.acknowledge(st)
	if h.Length > 0 && st.recvDone.Load() {
		s.refuse(st)
		return s.skip(h.Length)
	}
	if !st.charge(h.Length) {
		st.reset(frame.FlowControlError, false)
		return s.skip(h.Length)
	}
	for rest := int(h.Length); rest > 0; {
		if err := s.need(1); err != nil {
			return err
		}
		b := s.in.take(min(rest, s.in.w-s.in.r))
		rest -= len(b)
		st.deliver(b)
	}
	if h.Flags&frame.FIN != 0 {
		st.deliverFIN()
	}
	return nil
}

// refuse answers data that comes behind the peer's own FIN, or while our side
// closes the stream.
func (s *Session) refuse(st *Stream) {
	switch {
	case st.failed():
	case st.forgotten.Load():
		s.out.answer(st.id, frame.StreamClosed)
	default:
		st.reset(frame.StreamClosed, false)
	}
}

// dataStream finds the stream of a DATA frame, or makes it for a SYN. For a
// stream that is gone or not wanted it returns nil and the code to answer with,
// if any.
func (s *Session) dataStream(h frame.Header) (*Stream, frame.ErrorCode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Flags&frame.SYN == 0 {
		if st := s.streams[h.StreamID]; st != nil || h.Length == 0 {
			return st, frame.NoError, nil
		}
		return nil, frame.StreamClosed, nil
	}
	// Ids come out of order from peers that number a stream when it is made
	// and send its SYN with the first write, as the Go SDKs do.
	ours := (s.conf.Role == Client) == (h.StreamID%2 == 1)
	if ours || s.streams[h.StreamID] != nil {
		return nil, 0, &frame.Error{Code: frame.ProtocolError, Reason: fmt.Sprintf("SYN on stream id %d", h.StreamID)}
	}
	s.lastPeer = max(s.lastPeer, h.StreamID)
	switch {
	case s.err != nil:
		return nil, frame.NoError, nil
	case s.peerOpen >= s.conf.MaxStreams:
		return nil, frame.StreamRefused, nil
	case len(s.waiting) >= s.conf.Backlog:
		return nil, frame.AcceptQueueFull, nil
	}
	st := newStream(s, h.StreamID)
	st.credit = Window
	s.streams[h.StreamID] = st
	s.peerOpen++
	if s.in.opened == nil {
		s.waiting = append(s.waiting, st)
		s.accepted.Signal()
	}
	return st, frame.NoError, nil
}

// skip passes over payload that nobody wants.
func (s *Session) skip(n uint32) error {
	for n > 0 {
		if err := s.need(1); err != nil {
			return err
		}
		b := s.in.take(min(int(n), s.in.w-s.in.r))
		n -= uint32(len(b)) //nolint:gosec // at most n
	}
	return nil
}
