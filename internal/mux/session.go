package mux

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// Session is one multiplexed connection. Make it with New and let Run own it.
type Session struct {
	conf     Config
	conn     net.Conn
	out      output
	in       input
	unread   atomic.Int64
	heard    atomic.Int64   // when the transport last gave bytes, Unix nanoseconds
	done     chan struct{}  // closed first thing when the session ends
	released chan struct{}  // closed when the peer was told, or cannot be
	polite   bool           // the peer was told; set before released is closed
	wg       sync.WaitGroup // flushes and drains under way

	mu       sync.Mutex
	err      error // the one cause, once the session has ended
	streams  map[uint32]*Stream
	lastPeer uint32 // highest id the peer has opened
	peerOpen int    // streams opened by the peer that are still known
	waiting  []*Stream
	accepted sync.Cond

	// Streams that we open, and the bounds the peer can bear.
	open, unacked       int
	maxOpen, maxUnacked int
	openers             int           // calls of Open that wait
	freed               chan struct{} // closed and replaced when a place may be free
}

// New returns a session over conn. It starts nothing: frames are read once Run
// is called. Over TLS, put a netx.Batch below it; the session finds it by
// NetConn and uses it to send each flush in one system call. The handshake must
// be over.
func New(conn net.Conn, conf Config) *Session {
	s := &Session{
		conf:     conf.withDefaults(),
		conn:     conn,
		done:     make(chan struct{}),
		released: make(chan struct{}),
		streams:  make(map[uint32]*Stream),
		freed:    make(chan struct{}),
	}
	s.accepted.L = &s.mu
	batch := findBatch(conn)
	s.out = output{session: s, conn: conn, batch: batch, nextID: 3}
	if conf.Role == Server {
		s.out.nextID = 2
	}
	s.out.idle.L = &s.out.mu
	if batch != nil {
		batch.Hold()
	}
	s.in = input{conn: conn, batch: batch}
	s.heard.Store(time.Now().UnixNano())
	return s
}

func findBatch(c net.Conn) *netx.Batch {
	for range 4 {
		if b, ok := c.(*netx.Batch); ok {
			return b
		}
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = below.NetConn()
	}
	return nil
}

// Run reads frames until the session ends and returns its cause: nil when it
// was closed by Close, or else a *SessionError. When ctx ends, the session is
// closed with the context's cause. Run must be called exactly once; every
// goroutine of the session has ended when it returns.
func (s *Session) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.CloseWith(frame.NoError, context.Cause(ctx)) })
	defer stop()
	cause := s.readFrames()
	first := s.end(cause)
	if s.conf.Ended != nil {
		s.conf.Ended()
	}
	if first {
		s.goodbye(cause)
	}
	<-s.released
	s.linger()
	_ = netx.Innermost(s.conn).Close()
	s.wg.Wait()
	_ = s.conn.Close() // TLS has state of its own to end
	if err := s.Err(); !errors.Is(err, ErrSessionClosed) {
		return err
	}
	return nil
}

// Open prepares a stream whose first bytes are head (the stream's type and
// header; 1 byte to MaxHead), which the stream keeps. Nothing is sent
// before the stream is used: head leaves in the SYN frame together with the
// first Write, or alone when somebody reads, splices or half-closes it. While the bounds set by
// SetOpenLimits are reached, Open waits for ctx and then returns ErrBusy.
func (s *Session) Open(ctx context.Context, head []byte) (*Stream, error) {
	if len(head) == 0 || len(head) > MaxHead {
		return nil, errors.New("open stream: head must be 1 byte to 16 KiB")
	}
	for {
		s.mu.Lock()
		if s.err != nil {
			defer s.mu.Unlock()
			return nil, s.err
		}
		if (s.maxOpen == 0 || s.open < s.maxOpen) && (s.maxUnacked == 0 || s.unacked < s.maxUnacked) {
			s.open++
			s.unacked++
			s.mu.Unlock()
			st := newStream(s, 0)
			st.head = head
			st.credit = Window - int64(len(head))
			st.local = true
			return st, nil
		}
		freed := s.freed
		s.openers++
		s.mu.Unlock()
		select {
		case <-freed:
		case <-s.done:
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.openers--
		s.mu.Unlock()
		if ctx.Err() != nil {
			return nil, errors.Join(ErrBusy, context.Cause(ctx))
		}
	}
}

// SetOpenLimits bounds the streams we open: how many may be open, and how many
// may be unacknowledged, which are those on which the peer has not sent a frame
// yet. Zero means no bound, which is the default.
func (s *Session) SetOpenLimits(open, unacked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxOpen, s.maxUnacked = open, unacked
	s.wakeOpeners()
}

// SetQuickAck says whether the transport acknowledges each read at once; see
// netx.Batch.
func (s *Session) SetQuickAck(on bool) {
	if s.out.batch != nil {
		s.out.batch.SetQuickAck(on)
	}
}

// Accept returns the next stream opened by the peer.
func (s *Session) Accept(ctx context.Context) (*Stream, error) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepted.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.err != nil:
			return nil, s.err
		case len(s.waiting) > 0:
			st := s.waiting[0]
			s.waiting = s.waiting[1:]
			return st, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		s.accepted.Wait()
	}
}

// Close says goodbye and ends the session. All streams end with it. It is
// idempotent and does not wait for Run.
func (s *Session) Close() error {
	s.CloseWith(frame.NoError, ErrSessionClosed)
	return nil
}

// CloseWith ends the session with a code for the peer and a cause for every
// later call. The first end wins.
func (s *Session) CloseWith(code frame.ErrorCode, cause error) {
	s.finish(&SessionError{Code: code, Cause: cause})
}

// overflow ends a session whose peer makes us answer without reading.
func (s *Session) overflow() {
	s.CloseWith(frame.EnhanceYourCalm, errors.New("peer does not read our answers"))
}

// finish ends the session because of cause.
func (s *Session) finish(cause *SessionError) {
	if s.end(cause) {
		s.goodbye(cause)
	}
}

// end records the cause and fails everything that waits. It reports whether it
// was the first, who has to call goodbye then.
func (s *Session) end(cause *SessionError) bool {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	s.err = cause
	streams, waiting := s.streams, s.waiting
	s.streams, s.waiting = nil, nil
	close(s.done)
	s.accepted.Broadcast()
	s.wakeOpeners()
	s.mu.Unlock()

	s.out.shut()
	if cause.lost() {
		_ = netx.Innermost(s.conn).Close() // TLS would wait to say goodbye
	}
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // Run has to do with the end
	for _, st := range streams {
		st.fail(cause)
	}
	for _, st := range waiting {
		_ = st.Close() // nobody will
	}
	return true
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns the cause once the session has ended, nil before.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// NumStreams returns how many streams are open, from either side.
func (s *Session) NumStreams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// LastReceived returns when the peer was last heard, at first the time of New.
func (s *Session) LastReceived() time.Time { return time.Unix(0, s.heard.Load()) }

// LocalAddr returns our address of the transport.
func (s *Session) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// RemoteAddr returns the peer's address of the transport.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// register makes a stream known under its id. The output's lock is held.
func (s *Session) register(st *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.streams[st.id] = st
	return nil
}

// lookup returns the stream with this id, or nil.
func (s *Session) lookup(id uint32) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

// acknowledge notes the first frame of the peer on a stream of ours.
func (s *Session) acknowledge(st *Stream) {
	if !st.local || st.acked.Load() || st.acked.Swap(true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unacked--
	s.wakeOpeners()
}

// forget removes a stream that has ended on both sides.
func (s *Session) forget(st *Stream) {
	if st.forgotten.Swap(true) {
		return
	}
	st.stopTimers()
	acked := st.acked.Swap(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[st.id] == st {
		delete(s.streams, st.id)
	}
	if !st.local {
		s.peerOpen--
		return
	}
	s.open--
	if !acked {
		s.unacked--
	}
	s.wakeOpeners()
}

// wakeOpeners lets waiting calls of Open look again. Called with mu held.
func (s *Session) wakeOpeners() {
	if s.openers == 0 {
		return
	}
	close(s.freed)
	s.freed = make(chan struct{})
}

// pressed reports whether unread data takes so much memory that credit is to
// be held back.
func (s *Session) pressed() bool {
	return s.unread.Load() > s.conf.MaxUnread/4 || s.conf.Budget.pressed()
}

// queued changes the memory that unread data takes, and ends the stream that
// holds most when a bound is passed.
func (s *Session) queued(n int64) {
	within := s.conf.Budget.add(n)
	if s.unread.Add(n) <= s.conf.MaxUnread && within {
		return
	}
	if n <= 0 {
		return
	}
	s.mu.Lock()
	var most *Stream
	var held int64
	for _, st := range s.streams {
		if h := st.held.Load(); h > held {
			most, held = st, h
		}
	}
	s.mu.Unlock()
	if most != nil {
		most.abort(false)
	}
}
