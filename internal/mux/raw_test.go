package mux_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// rawPeer is the other end of a session, frame by frame.
type rawPeer struct {
	net.Conn
	t *testing.T
}

// against returns a running session and its hand-driven peer.
func against(t *testing.T, role mux.Role, conf mux.Config) (*mux.Session, *rawPeer) {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	t.Cleanup(func() { _ = b.Close() })
	return run(t, a, role, conf), &rawPeer{b, t}
}

// send writes frames one after the other.
func (p *rawPeer) send(frames ...[]byte) {
	p.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := p.Write(all); err != nil {
		p.t.Fatalf("peer writes: %v", err)
	}
}

// next reads one frame.
func (p *rawPeer) next() (frame.Header, []byte) {
	p.t.Helper()
	h, payload, err := p.read()
	if err != nil {
		p.t.Fatalf("peer reads: %v", err)
	}
	return h, payload
}

func (p *rawPeer) read() (frame.Header, []byte, error) {
	head := make([]byte, frame.HeaderSize)
	if _, err := io.ReadFull(p, head); err != nil {
		return frame.Header{}, nil, err
	}
	h := frame.ParseHeader(head)
	payload := make([]byte, h.Length)
	_, err := io.ReadFull(p, payload)
	return h, payload, err
}

// wantRST reads one frame and fails unless it is this reset.
func (p *rawPeer) wantRST(id uint32, code frame.ErrorCode) {
	p.t.Helper()
	h, payload := p.next()
	if h.Type != frame.RST || h.StreamID != id || frame.ParseRST(payload) != code {
		p.t.Fatalf("got %v %+v % x, want RST of stream %d with code %d", h.Type, h, payload, id, code)
	}
}

// data returns DATA frames of n zero bytes in all.
func data(id uint32, n int) []byte {
	var b []byte
	for n > 0 {
		m := min(n, frame.MaxSend)
		b = frame.AppendData(b, id, 0, make([]byte, m))
		n -= m
	}
	return b
}

func wantReset(t *testing.T, err error, code frame.ErrorCode) {
	t.Helper()
	var se *mux.StreamError
	if !errors.As(err, &se) || se.Code != code {
		t.Fatalf("got error %v, want a reset with code %d", err, code)
	}
}
