package wire

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// Bounds of what one message may cost.
const (
	// MaxMessage is the largest request or answer, in bytes.
	MaxMessage = 256 << 10
	// MaxEarlyMessage is the largest request of a type that is allowed before
	// the agent is known: Auth and SrvInfo.
	MaxEarlyMessage = 64 << 10

	// readWait bounds how long a request may take to arrive, and an answer to
	// be taken.
	readWait = 30 * time.Second
)

// Errors of a [Peer] that callers tell apart.
var (
	// ErrTooLarge says that a message exceeds its bound.
	ErrTooLarge = errors.New("message too large")
	// ErrNoAnswer is returned by Handler.RPC for requests that have no answer:
	// the stream is then closed with nothing written.
	ErrNoAnswer = errors.New("no answer")
	// ErrRefuseType is returned by Handler.RPC for a type that it does not
	// serve: the stream is then reset with the code for refused streams.
	ErrRefuseType = errors.New("request type refused")
)

// Peer is one side of the control channel over a session: it sends requests,
// answers those of the other side, and beats. Its methods may be used by
// several goroutines at once.
type Peer struct {
	s *mux.Session
}

// NewPeer returns a peer over s. It starts nothing: the session's own Run and
// [Peer.Serve] have to be running for anything to happen.
func NewPeer(s *mux.Session) *Peer { return &Peer{s: s} }

// Call sends a request on a stream of its own and decodes the one JSON value
// that answers it into resp. It waits as long as ctx allows: an answer that is
// held back is the protocol's way to make an agent wait.
func (p *Peer) Call(ctx context.Context, t ReqType, req, resp any) error {
	st, err := p.send(ctx, t, req)
	if err != nil {
		return fmt.Errorf("%v: %w", t, err)
	}
	stop := context.AfterFunc(ctx, func() { st.Reset(frame.StreamCancelled) })
	defer stop()
	if !isCommand(t) {
		_ = st.CloseWrite() // leaves with the request, and nothing has to be said at the end
	}
	body, err := readValue(st, MaxMessage)
	if err != nil {
		st.Reset(frame.StreamCancelled)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%v: read answer: %w", t, err)
	}
	if isCommand(t) {
		// Agents that answered a command never close its stream (H16).
		st.Reset(frame.NoError)
	} else {
		st.Close()
	}
	if err := json.Unmarshal(body, resp); err != nil {
		return fmt.Errorf("%v: decode answer: %w", t, err)
	}
	return nil
}

// isCommand reports whether t is what a server asks of an agent, which may be
// of any make.
func isCommand(t ReqType) bool {
	return t == TypeStop || t == TypeRestart || t == TypeUpdate
}

// Notify sends a request that has no answer, and closes its stream.
func (p *Peer) Notify(ctx context.Context, t ReqType, req any) error {
	st, err := p.send(ctx, t, req)
	if err != nil {
		return fmt.Errorf("%v: %w", t, err)
	}
	// Ending our half sends the request; closing alone would take it back.
	if err := st.CloseWrite(); err != nil {
		return fmt.Errorf("%v: close: %w", t, err)
	}
	st.Close()
	return nil
}

// send opens a stream with the type and the whole request, or as much of it as
// belongs into one frame.
func (p *Peer) send(ctx context.Context, t ReqType, req any) (*mux.Stream, error) {
	text, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if len(text) > MaxMessage {
		return nil, fmt.Errorf("encode request: %w: %d bytes", ErrTooLarge, len(text))
	}
	head := binary.BigEndian.AppendUint32(make([]byte, 0, typeLen+len(text)), uint32(t))
	head = append(head, text...)
	n := min(len(head), mux.MaxHead)
	st, err := p.s.Open(ctx, head[:n])
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	if n == len(head) {
		return st, nil
	}
	stop := context.AfterFunc(ctx, func() { st.Reset(frame.StreamCancelled) })
	defer stop()
	if _, err := st.Write(head[n:]); err != nil {
		st.Reset(frame.StreamCancelled)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("write request: %w", err)
	}
	return st, nil
}

// readValue reads exactly one JSON object or array and returns as soon as it is
// complete, because no agent ends its half after a request. Of any other value
// only a further byte shows the end, and none is a message. Bytes behind the
// value may be consumed.
func readValue(r io.Reader, limit int64) (json.RawMessage, error) {
	lr := &io.LimitedReader{R: r, N: limit + 1}
	var body json.RawMessage
	if err := json.NewDecoder(&noScalar{r: lr}).Decode(&body); err != nil {
		if lr.N <= 0 {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		}
		return nil, err
	}
	return body, nil
}

var errScalar = errors.New("a message has to be a JSON object")

// noScalar fails where the first value of a JSON text is neither an object nor
// an array.
type noScalar struct {
	r     io.Reader
	begun bool
}

// Read implements io.Reader.
func (n *noScalar) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	for i := 0; i < k && !n.begun; i++ {
		switch c := b[i]; {
		case c == '{' || c == '[':
			n.begun = true
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return 0, errScalar
		}
	}
	return k, err
}

// errorAnswer is the answer to a request that was refused, complete enough for
// clients that decode strictly.
func errorAnswer(t ReqType, err error) any {
	text := fault.From(err).Wire()
	switch t {
	case TypeAuth:
		return AuthResp{Error: text}
	case TypeBind:
		return BindResp{Error: text}
	case TypeStartTunnelWithLabel:
		return StartTunnelWithLabelResp{Error: text}
	default:
		return ErrorResp{Error: text}
	}
}
