package muxado_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	public "golang.ngrok.com/muxado/v2"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// head is what our streams open with; the public implementation gets it as
// their first bytes.
const head = "head"

// pair is one of our sessions connected with a public one.
type pair struct {
	ours   *mux.Session
	theirs public.Session
	ended  chan error // what Run returned
}

// roles runs a test with us as the server, which is how we meet SDKs, and as
// the client.
func roles(t *testing.T, our mux.Config, their *public.Config, test func(*testing.T, pair)) {
	t.Helper()
	for name, role := range map[string]mux.Role{"we serve": mux.Server, "we dial": mux.Client} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := our
			conf.Role = role
			test(t, connect(t, conf, their))
		})
	}
}

func connect(t *testing.T, our mux.Config, their *public.Config) pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := pair{ours: mux.New(netx.NewBatch(near), our), ended: make(chan error, 1)}
	go func() { p.ended <- p.ours.Run(context.Background()) }()
	if our.Role == mux.Server {
		p.theirs = public.Client(far, their)
	} else {
		p.theirs = public.Server(far, their)
	}
	t.Cleanup(func() {
		_ = p.ours.Close()
		_ = p.theirs.Close()
	})
	return p
}

// open opens a stream from our side.
func (p pair) open(t *testing.T) *mux.Stream {
	t.Helper()
	st, err := p.ours.Open(t.Context(), []byte(head))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return st
}

// accept takes their next stream.
func (p pair) accept(t *testing.T) *mux.Stream {
	t.Helper()
	st, err := p.ours.Accept(t.Context())
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return st
}

// acceptTheirs takes our next stream on their side, without its head.
func (p pair) acceptTheirs(t *testing.T) public.Stream {
	t.Helper()
	st, err := p.theirs.AcceptStream()
	if err != nil {
		t.Fatalf("they accept: %v", err)
	}
	got := make([]byte, len(head))
	if _, err := io.ReadFull(st, got); err != nil || string(got) != head {
		t.Fatalf("they read the head %q, %v", got, err)
	}
	return st
}

// halfConn is what streams of both implementations are.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

// echo answers every stream that accept gives with what it sends.
func echo(accept func() (halfConn, error)) {
	for {
		st, err := accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st})
			_ = st.Close()
		}()
	}
}

func (p pair) echoTheirs() {
	echo(func() (halfConn, error) { return p.theirs.AcceptStream() })
}

func (p pair) echoOurs() {
	echo(func() (halfConn, error) { return p.ours.Accept(context.Background()) })
}

// exchange sends want, half-closes and compares what comes back.
func exchange(st halfConn, want []byte, prefix string) error {
	done := make(chan error, 1)
	go func() {
		_, err := st.Write(want)
		done <- errors.Join(err, st.CloseWrite())
	}()
	got, err := io.ReadAll(st)
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	if !bytes.Equal(got, append([]byte(prefix), want...)) {
		return fmt.Errorf("%d bytes came back, want %d equal ones", len(got), len(prefix)+len(want))
	}
	return st.Close()
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

var sizes = []int{1, 100, 32<<10 - 1, 32 << 10, 32<<10 + 1, mux.Window - 4, mux.Window, mux.Window + 1, 5 << 20}

func TestEchoByThem(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		go p.echoTheirs()
		for _, n := range sizes {
			if err := exchange(p.open(t), content(n), head); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if n := p.ours.NumStreams(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

func TestEchoByUs(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		go p.echoOurs()
		for _, n := range sizes {
			st, err := p.theirs.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if err := exchange(st, content(n), ""); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
	})
}

func TestHalfClose(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		peer := p.acceptTheirs(t)
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("they read %v, want EOF", err)
		}
		if _, err := peer.Write([]byte("answer")); err != nil {
			t.Fatalf("they write after our half-close: %v", err)
		}
		_ = peer.Close()
		if got, err := io.ReadAll(st); err != nil || string(got) != "answer" {
			t.Fatalf("read %q, %v", got, err)
		}
	})
}

// A half-close of theirs before any write is a SYN with FIN.
func TestTheyHalfCloseAtOnce(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st, err := p.theirs.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		ours := p.accept(t)
		if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("read %v, want EOF", err)
		}
		if _, err := ours.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		_ = ours.Close()
		if got, err := io.ReadAll(st); err != nil || string(got) != "answer" {
			t.Fatalf("they read %q, %v", got, err)
		}
	})
}

// They number a stream when it is made and open it with the first write.
func TestTheyOpenOutOfOrder(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		first, err := p.theirs.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.theirs.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range []public.Stream{second, first} {
			if _, err := st.Write([]byte{byte(st.Id())}); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []public.Stream{second, first} {
			st := p.accept(t)
			b := make([]byte, 1)
			if _, err := io.ReadFull(st, b); err != nil || st.ID() != want.Id() || b[0] != byte(want.Id()) {
				t.Fatalf("accepted stream %d with %v (%v), want %d", st.ID(), b, err, want.Id())
			}
		}
	})
}

func TestOurReset(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if _, err := st.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		peer := p.acceptTheirs(t)
		_, _ = io.ReadFull(peer, make([]byte, 1))
		st.Reset(frame.StreamRefused)
		if _, err := peer.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "error code: 5") {
			t.Fatalf("they read %v, want a reset with code 5", err)
		}
	})
}

func TestTheirReset(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if _, err := st.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = p.acceptTheirs(t).Close()
		if _, err := st.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("read %v, want EOF", err)
		}
		var err error
		for err == nil { // their reset comes behind one of the writes
			_, err = st.Write([]byte("late"))
		}
		var se *mux.StreamError
		if !errors.As(err, &se) || se.Code != frame.StreamClosed || !se.Remote {
			t.Fatalf("write: %v, want their reset with code 4", err)
		}
	})
}

func TestOurWritesStopAtTheirWindow(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if _, err := st.Write(make([]byte, mux.Window-len(head))); err != nil {
			t.Fatal(err)
		}
		_ = st.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := st.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d bytes more, %v; want none before they read", n, err)
		}
		_ = st.SetWriteDeadline(time.Time{})
		peer := p.acceptTheirs(t)
		if _, err := st.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		_ = st.CloseWrite()
		if n, err := io.Copy(io.Discard, peer); err != nil || n != mux.Window-int64(len(head))+4 {
			t.Fatalf("they read %d bytes, %v", n, err)
		}
	})
}

func TestTheirWritesStopAtOurWindow(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st, err := p.theirs.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		go func() {
			for buf := make([]byte, 1<<10); ; {
				n, err := st.Write(buf)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		ours := p.accept(t)
		for sent.Load() < mux.Window { // their window is ours
			runtime.Gosched()
		}
		for i := range int64(16) {
			if n, read := sent.Load(), i*mux.Window/2; n > mux.Window+read {
				t.Fatalf("they sent %d bytes while %d were read", n, read)
			}
			if _, err := io.ReadFull(ours, make([]byte, mux.Window/2)); err != nil {
				t.Fatal(err)
			}
		}
		ours.Abort()
	})
}

func TestTheyTakeLargeFrames(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st, err := p.theirs.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		want := content(2 << 20)
		go func() {
			_, _ = st.Write(want) // in frames as large as their window
			_ = st.CloseWrite()
		}()
		if got, err := io.ReadAll(p.accept(t)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, %v; want %d equal ones", len(got), err, len(want))
		}
	})
}

func TestOurGoodbye(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if _, err := st.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		peer := p.acceptTheirs(t)
		_ = p.ours.Close()
		if err := <-p.ended; err != nil {
			t.Fatalf("our session ended with %v", err)
		}
		if _, err := p.theirs.Accept(); err == nil {
			t.Fatal("their session goes on")
		}
		if _, err := io.Copy(io.Discard, peer); err == nil {
			t.Fatal("their stream ended regularly")
		}
	})
}

func TestTheirGoodbye(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		st := p.open(t)
		if _, err := st.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		p.acceptTheirs(t)
		_ = p.theirs.Close()
		err := <-p.ended
		var se *mux.SessionError
		if !errors.As(err, &se) || !se.Remote || se.Code != frame.NoError {
			t.Fatalf("our session ended with %v, want their orderly end", err)
		}
		if _, err := st.Read(make([]byte, 1)); !errors.Is(err, se) {
			t.Fatalf("read %v, want the session's end", err)
		}
	})
}

func TestH19_TheirBacklogOverflows(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, &public.Config{AcceptBacklog: 4}, func(t *testing.T, p pair) {
		for i := range 8 { // nobody accepts
			st := p.open(t)
			if _, err := st.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if i < 4 {
				continue
			}
			_, err := st.Read(make([]byte, 1))
			var se *mux.StreamError
			if !errors.As(err, &se) || se.Code != frame.AcceptQueueFull {
				t.Fatalf("read: %v, want a reset with code 9", err)
			}
		}
	})
}

func TestOurBacklogOverflows(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{Backlog: 4}, nil, func(t *testing.T, p pair) {
		for i := range 8 { // nobody accepts
			st, err := p.theirs.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if i < 4 {
				continue
			}
			if _, err := st.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "error code: 9") {
				t.Fatalf("they read %v, want a reset with code 9", err)
			}
		}
	})
}

// Bursts in both directions at once. A stream that overflows their backlog is
// tried again, as the edge does.
func TestH19_Bursts(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		go p.echoTheirs()
		go p.echoOurs()
		want := content(3000)
		var wg sync.WaitGroup
		for range 400 {
			wg.Go(func() {
				for {
					st, err := p.ours.Open(context.Background(), []byte(head))
					if err == nil {
						err = exchange(st, want, head)
					}
					var se *mux.StreamError
					if errors.As(err, &se) && se.Code == frame.AcceptQueueFull {
						continue
					}
					if err != nil {
						t.Errorf("ours: %v", err)
					}
					return
				}
			})
			wg.Go(func() {
				for {
					st, err := p.theirs.OpenStream()
					if err == nil {
						err = exchange(st, want, "")
					}
					if err != nil && strings.Contains(err.Error(), "error code: 9") {
						continue
					}
					if err != nil {
						t.Errorf("theirs: %v", err)
					}
					return
				}
			})
		}
		wg.Wait()
		if err := p.ours.Err(); err != nil {
			t.Fatalf("the session ended: %v", err)
		}
		if n := p.ours.NumStreams(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// Long and short streams both ways, with aborts between.
func TestLoad(t *testing.T) {
	t.Parallel()
	roles(t, mux.Config{}, nil, func(t *testing.T, p pair) {
		go p.echoTheirs()
		go p.echoOurs()
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for j := range 6 {
					want := content(1 << ((i + 3*j) % 21))
					st, err := p.ours.Open(context.Background(), []byte(head))
					if err != nil {
						t.Errorf("open: %v", err)
						return
					}
					if (i+j)%5 == 0 {
						_, _ = st.Write(want[:min(len(want), mux.Window/2)]) // the echo is not read
						st.Abort()
						continue
					}
					if err := exchange(st, want, head); err != nil {
						t.Errorf("ours, %d bytes: %v", len(want), err)
					}
				}
			})
			wg.Go(func() {
				for j := range 6 {
					st, err := p.theirs.OpenStream()
					if err != nil {
						t.Errorf("they open: %v", err)
						return
					}
					want := content(1 << ((i + 5*j) % 21))
					if err := exchange(st, want, ""); err != nil {
						t.Errorf("theirs, %d bytes: %v", len(want), err)
					}
				}
			})
		}
		wg.Wait()
		if err := p.ours.Err(); err != nil {
			t.Fatalf("the session ended: %v", err)
		}
	})
}
