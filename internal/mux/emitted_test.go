package mux_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// tap records what a session writes.
type tap struct {
	net.Conn
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.buf.Write(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// TestH08_H11_H12_H13_H18_FramesWeSend drives both roles through every way to
// use and end a stream and judges each frame that went out.
func TestH08_H11_H12_H13_H18_FramesWeSend(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	taps := map[mux.Role]*tap{mux.Client: {Conn: a}, mux.Server: {Conn: b}}
	client, server := mux.New(taps[mux.Client], mux.Config{Role: mux.Client}), mux.New(taps[mux.Server], mux.Config{Role: mux.Server})
	var running, work sync.WaitGroup
	for _, s := range []*mux.Session{client, server} {
		running.Go(func() { _ = s.Run(context.Background()) })
		running.Go(func() { serveAnyhow(s) })
		for i := range 8 {
			work.Go(func() { useAnyhow(s, rand.New(rand.NewPCG(1, uint64(i)))) })
		}
	}
	work.Wait()
	_ = client.Close()
	_ = server.Close()
	running.Wait()
	for role, tap := range taps {
		checkFrames(t, role, tap.buf.Bytes())
	}
}

// serveAnyhow echoes some streams and ends others early.
func serveAnyhow(s *mux.Session) {
	for i := 0; ; i++ {
		st, err := s.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			switch i % 4 {
			case 0:
				st.Abort()
			case 1:
				_, _ = io.CopyN(st, st, 1000)
				_ = st.Close()
			default:
				_, _ = io.Copy(st, st)
				_ = st.Close()
			}
		}()
	}
}

// useAnyhow opens streams and ends them in every way.
func useAnyhow(s *mux.Session, r *rand.Rand) {
	data := make([]byte, 200<<10)
	for i := range 60 {
		st, err := s.Open(context.Background(), []byte("head"))
		if err != nil {
			return
		}
		n := r.IntN(len(data))
		go func() {
			if i%5 > 0 {
				_, _ = st.Write(data[:n])
			}
			_ = st.CloseWrite()
		}()
		_, _ = io.CopyN(io.Discard, st, int64(r.IntN(1000)))
		switch i % 3 {
		case 0:
			st.Abort()
		case 1:
			st.Reset(frame.StreamRefused)
		default:
			_, _ = io.Copy(io.Discard, st)
		}
		_ = st.Close()
	}
}

// checkFrames fails for anything that some peer cannot bear.
func checkFrames(t *testing.T, role mux.Role, b []byte) {
	t.Helper()
	parity, last, ended := uint32(1), uint32(0), map[uint32]bool{}
	if role == mux.Server {
		parity = 0
	}
	frames := 0
	for len(b) >= frame.HeaderSize {
		h := frame.ParseHeader(b)
		if len(b) < frame.HeaderSize+int(h.Length) {
			break // the transport was closed in the middle
		}
		payload := b[frame.HeaderSize : frame.HeaderSize+h.Length]
		b = b[frame.HeaderSize+h.Length:]
		frames++
		if err := h.Check(); err != nil {
			t.Fatalf("role %d sent %+v: %v", role, h, err)
		}
		switch {
		case h.Type > frame.GoAway:
			t.Fatalf("role %d sent the unassigned type %d (H12)", role, h.Type)
		case h.Type == frame.WndInc:
			if n, err := frame.ParseWndInc(payload); err != nil {
				t.Fatalf("role %d sent an increment of %d (H11)", role, n)
			}
		case h.Type == frame.Data && h.Length > 64<<10:
			t.Fatalf("role %d sent %d bytes in one frame (H18)", role, h.Length)
		case h.Type == frame.GoAway && len(b) > 0:
			t.Fatalf("role %d sent %d bytes behind its GOAWAY (H8)", role, len(b))
		}
		if h.Flags&frame.SYN != 0 {
			if h.StreamID%2 != parity || h.StreamID <= last {
				t.Fatalf("role %d opened stream %d after %d (H11, H13)", role, h.StreamID, last)
			}
			if h.Length == 0 || h.Flags&frame.FIN != 0 {
				t.Fatalf("role %d opened stream %d with %d bytes and flags %d (H3)", role, h.StreamID, h.Length, h.Flags)
			}
			last = h.StreamID
		}
		if h.Type == frame.Data && ended[h.StreamID] {
			t.Fatalf("role %d sent data on stream %d behind its end", role, h.StreamID)
		}
		if h.Type == frame.RST && h.StreamID%2 == parity || h.Flags&frame.FIN != 0 {
			ended[h.StreamID] = true
		}
	}
	if frames < 300 {
		t.Fatalf("role %d sent only %d frames", role, frames)
	}
}
