package wire

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// DefaultMaxRequests is how many requests of one session are served at once
// unless a Handler says otherwise. Requests that are held back count.
const DefaultMaxRequests = 1024

// maxHeld bounds the bytes of all requests of one session that arrive or are
// being answered. The request with which they become more is reset.
const maxHeld = 8 << 20

// maxHeartbeats bounds the heartbeat streams of one session. Agents open one.
const maxHeartbeats = 4

// Handler says what to do with the streams that the other side opens.
type Handler struct {
	// RPC answers a request. The body is one JSON value. The answer is written
	// as JSON and the stream ended. An error becomes the Error of the type's
	// answer, except for [ErrNoAnswer] and [ErrRefuseType]. If RPC is nil all
	// requests are refused. It runs on a goroutine of its own; its context
	// ends with Serve.
	RPC func(ctx context.Context, t ReqType, body json.RawMessage) (any, error)
	// Proxy takes a forwarded connection whose type has been read and whose
	// header has not. It owns the stream and returns when it is done with it.
	// If it is nil forwarded connections are refused.
	Proxy func(st *mux.Stream)
	// Allowed tells whether a type may be used now; nil allows all. It is
	// asked for every stream but heartbeats, which are always echoed.
	Allowed func(t ReqType) bool
	// Sent is called after the answer to a request was handed to the session;
	// it may be nil.
	Sent func(t ReqType)
	// MaxRequests bounds the requests served at once, default
	// [DefaultMaxRequests]. Those beyond are reset at once.
	MaxRequests int
}

// Serve accepts streams until the session or ctx ends, and returns why. It
// returns after all handlers have returned. It does not close the session;
// handlers of forwarded connections that ignore the end of ctx end with the
// session.
func (p *Peer) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	sv := newServer(h)
	defer sv.handlers.Wait()
	defer cancel()
	for {
		st, err := p.s.Accept(ctx)
		if err != nil {
			return err
		}
		sv.handlers.Go(func() { sv.serve(ctx, st) })
	}
}

// Handle serves streams from now until the session ends, and costs nothing
// while none comes: it is for the side that has many sessions. Call it before
// the session runs. The handlers' context ends with the session; wait returns
// when they all have returned.
func (p *Peer) Handle(h Handler) (wait func()) {
	sv := newServer(h)
	p.s.Handle(func(st *mux.Stream) {
		// A stream that the other side resets makes room for another one at once,
		// its handler only when it has run.
		if sv.running.Add(1) > int64(2*sv.h.MaxRequests) {
			sv.running.Add(-1)
			st.Reset(frame.EnhanceYourCalm)
			return
		}
		sv.handlers.Go(func() {
			defer sv.running.Add(-1)
			sv.serve(life{p.s}, st)
		})
	})
	return sv.handlers.Wait
}

// life is a context that ends with its session.
type life struct{ s *mux.Session }

// Deadline reports that there is none.
func (life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns the channel that tells of the session's end.
func (l life) Done() <-chan struct{} { return l.s.Done() }

// Err returns context.Canceled once the session has ended.
func (l life) Err() error {
	select {
	case <-l.s.Done():
		return context.Canceled
	default:
		return nil
	}
}

// Value returns nil.
func (life) Value(any) any { return nil }

// server serves the streams of one session.
type server struct {
	h        Handler
	handlers sync.WaitGroup
	running  atomic.Int64 // handlers of Handle
	requests atomic.Int64 // under way
	held     atomic.Int64 // bytes of these requests
	beats    atomic.Int64 // heartbeat streams
}

func newServer(h Handler) *server {
	if h.MaxRequests <= 0 {
		h.MaxRequests = DefaultMaxRequests
	}
	return &server{h: h}
}

func (sv *server) serve(ctx context.Context, st *mux.Stream) {
	st.SetReadDeadline(time.Now().Add(readWait))
	var word [typeLen]byte
	if _, err := io.ReadFull(st, word[:]); err != nil {
		st.Reset(frame.ProtocolError)
		return
	}
	t := ReqType(binary.BigEndian.Uint32(word[:]))
	switch {
	case t == TypeHeartbeat:
		sv.heartbeat(st)
	case sv.h.Allowed != nil && !sv.h.Allowed(t):
		st.Reset(frame.StreamRefused)
	case t == TypeProxy && sv.h.Proxy != nil:
		sv.h.Proxy(st)
	case isRequest(t) && sv.h.RPC != nil:
		sv.request(ctx, t, st)
	default:
		st.Reset(frame.StreamRefused)
	}
}

// isRequest reports whether t is a JSON request of the protocol.
func isRequest(t ReqType) bool {
	return t <= TypePatchTunnelState && t != TypeProxy
}

// messageLimit is the largest request of type t.
func messageLimit(t ReqType) int64 {
	if t == TypeAuth || t == TypeSrvInfo {
		return MaxEarlyMessage
	}
	return MaxMessage
}

func (sv *server) request(ctx context.Context, t ReqType, st *mux.Stream) {
	defer sv.requests.Add(-1)
	if sv.requests.Add(1) > int64(sv.h.MaxRequests) {
		st.Reset(frame.EnhanceYourCalm)
		return
	}
	in := &counted{r: st, all: &sv.held}
	defer in.done()
	body, err := readValue(in, messageLimit(t))
	switch {
	case errors.Is(err, errHeld):
		st.Reset(frame.EnhanceYourCalm)
		return
	case err != nil:
		st.Reset(frame.ProtocolError)
		return
	}
	answer, err := sv.h.RPC(ctx, t, body)
	switch {
	case errors.Is(err, ErrNoAnswer):
		st.Close()
		return
	case errors.Is(err, ErrRefuseType):
		st.Reset(frame.StreamRefused)
		return
	case err != nil:
		answer = errorAnswer(t, err)
	}
	text, err := json.Marshal(answer)
	if err != nil || len(text) > MaxMessage {
		st.Reset(frame.InternalError)
		return
	}
	st.SetWriteDeadline(time.Now().Add(readWait))
	// Strict clients parse at the end of the stream (H2). Whatever the other
	// side still sends is refused by the session.
	if err := st.WriteClose(text); err != nil {
		st.Reset(frame.InternalError)
		return
	}
	if sv.h.Sent != nil {
		sv.h.Sent(t)
	}
}

var errHeld = errors.New("the requests of the session are too large together")

// counted reads a request and adds its bytes to those of its session.
type counted struct {
	r    io.Reader
	all  *atomic.Int64
	mine int64
}

// Read implements io.Reader. It fails where the session has too many bytes.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.mine += int64(n)
	if c.all.Add(int64(n)) > maxHeld {
		return 0, errHeld
	}
	return n, err
}

// done takes the bytes back off the session's.
func (c *counted) done() { c.all.Add(-c.mine) }
