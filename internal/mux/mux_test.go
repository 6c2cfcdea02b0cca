package mux_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// sessions returns two connected sessions that run until the test ends.
func sessions(t *testing.T, conf mux.Config) (client, server *mux.Session) {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	return run(t, a, mux.Client, conf), run(t, b, mux.Server, conf)
}

func run(t *testing.T, c net.Conn, role mux.Role, conf mux.Config) *mux.Session {
	t.Helper()
	conf.Role = role
	s := mux.New(c, conf)
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = c.Close() // the peer, which may be a test's hand, need not
		<-done
	})
	return s
}

func open(t *testing.T, s *mux.Session, head string) *mux.Stream {
	t.Helper()
	st, err := s.Open(t.Context(), []byte(head))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return st
}

func accept(t *testing.T, s *mux.Session) *mux.Stream {
	t.Helper()
	st, err := s.Accept(t.Context())
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return st
}

func TestHeadTravelsWithFirstData(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	st := open(t, s, "head")
	if _, err := st.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 16)
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	if want := "\x00\x00\x08\x12\x00\x00\x00\x02headdata"; string(got) != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func TestH03_UnusedStreamSendsNothing(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	for _, end := range []func(*mux.Stream){
		func(st *mux.Stream) { _ = st.Close() },
		func(st *mux.Stream) { st.Abort() },
		func(st *mux.Stream) { st.Reset(frame.StreamRefused) },
	} {
		end(open(t, s, "head"))
	}
	if n := s.NumStreams(); n != 0 {
		t.Fatalf("%d streams left", n)
	}
	_ = s.Close()
	got, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if h := frame.ParseHeader(got); h.Type != frame.GoAway {
		t.Fatalf("first frame is %v of % x, want only a GOAWAY", h.Type, got)
	}
}

func TestReadOpensTheStream(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	st := open(t, client, "hi")
	go func() {
		peer, err := server.Accept(context.Background())
		if err == nil {
			_, _ = peer.Write([]byte("server speaks first"))
			_ = peer.Close()
		}
	}()
	got, err := io.ReadAll(st)
	if err != nil || string(got) != "server speaks first" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 4 << 10, mux.Window, 5 << 20} {
		client, server := sessions(t, mux.Config{})
		go echo(server)
		want := make([]byte, size)
		_, _ = rand.Read(want)
		st := open(t, client, "head")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := st.Write(want); err != nil {
				t.Errorf("write: %v", err)
			}
			if err := st.CloseWrite(); err != nil {
				t.Errorf("close write: %v", err)
			}
		})
		got, err := io.ReadAll(st)
		wg.Wait()
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if want := append([]byte("head"), want...); !bytes.Equal(got, want) {
			t.Fatalf("size %d: %d bytes came back, want %d equal ones", size, len(got), len(want))
		}
		if n := client.NumStreams(); n != 0 {
			t.Fatalf("%d streams left after both halves were closed", n)
		}
	}
}

// echo answers every stream with what it sends.
func echo(s *mux.Session) {
	for {
		st, err := s.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(st, st)
			_ = st.Close()
		}()
	}
}

func TestManyStreamsShareTheSession(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	go echo(server)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			st, err := client.Open(context.Background(), []byte{byte(i)})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer st.Close()
			want := bytes.Repeat([]byte{byte(i)}, 100<<10)
			go func() {
				_, _ = st.Write(want[1:])
				_ = st.CloseWrite()
			}()
			if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, want) {
				t.Errorf("stream %d: %d bytes, %v; want %d of its own", i, len(got), err, len(want))
			}
		})
	}
	wg.Wait()
}

func TestWriterWaitsForCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := sessions(t, mux.Config{})
		st := open(t, client, "x")
		if err := st.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := st.Write(make([]byte, 1<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n != mux.Window-1 {
			t.Fatalf("wrote %d bytes, %v; want a window less the head, then the deadline", n, err)
		}
		peer := accept(t, server)
		if held := server.Unread(); held != mux.Window {
			t.Fatalf("%d bytes wait at the reader, want a window", held)
		}
		if _, err := io.ReadFull(peer, make([]byte, mux.Window)); err != nil {
			t.Fatal(err)
		}
		_ = st.SetWriteDeadline(time.Time{})
		if _, err := st.Write([]byte("again")); err != nil {
			t.Fatalf("write after credit came back: %v", err)
		}
	})
}

func TestReadDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := sessions(t, mux.Config{})
		st := open(t, client, "x")
		start := time.Now()
		_ = st.SetReadDeadline(start.Add(time.Hour))
		_, err := st.Read(make([]byte, 1))
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("read: %v, want a timeout", err)
		}
		if d := time.Since(start); d != time.Hour {
			t.Fatalf("waited %v, want 1h", d)
		}
	})
}

func TestResetReachesThePeer(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	st := open(t, client, "x")
	if _, err := st.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	accept(t, server).Reset(frame.StreamRefused)
	_, err := st.Read(make([]byte, 1))
	var se *mux.StreamError
	if !errors.As(err, &se) || se.Code != frame.StreamRefused || !se.Remote {
		t.Fatalf("read: %v, want the peer's reset with code 5", err)
	}
	if _, err := st.Write([]byte("z")); !errors.As(err, &se) {
		t.Fatalf("write: %v, want the reset", err)
	}
}

func TestH04_AbortSendsFINThenRST(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	st := open(t, s, "head")
	if _, err := st.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	st.Abort()
	got := make([]byte, 16+8+12)
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	want := frame.AppendRST(frame.AppendData(nil, 2, frame.FIN, nil), 2, frame.StreamCancelled)
	if !bytes.Equal(got[16:], want) {
		t.Fatalf("got  % x\nwant % x", got[16:], want)
	}
}

func TestSessionEndsWithOneCause(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	st := open(t, client, "x")
	if _, err := st.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("drained")
	server.CloseWith(frame.NoError, cause)
	server.CloseWith(frame.InternalError, errors.New("later"))
	if err := server.Err(); !errors.Is(err, cause) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("server ended with %v, want the first cause", err)
	}
	<-client.Done()
	var se *mux.SessionError
	if err := client.Err(); !errors.As(err, &se) || !se.Remote || !errors.Is(err, io.EOF) {
		t.Fatalf("client ended with %v, want an orderly end by the peer", err)
	}
	if _, err := st.Read(make([]byte, 1)); !errors.Is(err, client.Err()) {
		t.Fatalf("read: %v, want the session's cause", err)
	}
	if _, err := client.Open(t.Context(), []byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("open: %v, want a closed session", err)
	}
}

func TestH07_UnackedStreamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		s := run(t, a, mux.Server, mux.Config{})
		s.SetOpenLimits(3, 2)
		for range 2 {
			if _, err := open(t, s, "x").Write([]byte("y")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Open(ctx, []byte("x")); !errors.Is(err, mux.ErrBusy) {
			t.Fatalf("third open: %v, want ErrBusy", err)
		}
		if _, err := b.Write(frame.AppendWndInc(nil, 2, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), []byte("x")); err != nil {
			t.Fatalf("open after an acknowledgement: %v", err)
		}
		if _, err := b.Write(frame.AppendWndInc(nil, 4, 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Open(ctx, []byte("x")); !errors.Is(err, mux.ErrBusy) {
			t.Fatalf("fourth open: %v, want ErrBusy by the bound on open streams", err)
		}
	})
}

func TestUnreadDataIsBounded(t *testing.T) {
	t.Parallel()
	budget := mux.NewBudget(1 << 30)
	client, server := sessions(t, mux.Config{MaxUnread: mux.Window, Budget: budget})
	small, big := open(t, client, "s"), open(t, client, "b")
	for _, w := range []struct {
		st *mux.Stream
		n  int
	}{{small, 100 << 10}, {big, 200 << 10}} {
		if _, err := w.st.Write(make([]byte, w.n)); err != nil && w.st != big {
			t.Fatal(err)
		}
	}
	_, err := big.Read(make([]byte, 1))
	if err != io.EOF {
		t.Fatalf("read on the stream that holds most: %v, want its FIN", err)
	}
	if _, err := io.ReadFull(accept(t, server), make([]byte, 100<<10)); err != nil {
		t.Fatalf("the smaller stream was hurt: %v", err)
	}
	if used := budget.Used(); used > mux.Window {
		t.Fatalf("%d bytes counted in the budget", used)
	}
}

func TestAcceptQueueOverflow(t *testing.T) {
	t.Parallel()
	client, _ := sessions(t, mux.Config{Backlog: 1})
	first, second := open(t, client, "1"), open(t, client, "2")
	for _, st := range []*mux.Stream{first, second} {
		if _, err := st.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := second.Read(make([]byte, 1))
	var se *mux.StreamError
	if !errors.As(err, &se) || se.Code != frame.AcceptQueueFull {
		t.Fatalf("read: %v, want a reset with code 9", err)
	}
}

func TestLateDataIsAnsweredWithReset(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	st := open(t, client, "x")
	if _, err := st.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	_ = accept(t, server).Close()
	if _, err := st.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read: %v, want EOF", err)
	}
	var err error
	for err == nil { // the reset arrives behind one of the writes
		_, err = st.Write([]byte("late"))
	}
	var se *mux.StreamError
	if !errors.As(err, &se) || se.Code != frame.StreamClosed {
		t.Fatalf("write: %v, want a reset with code 4", err)
	}
}

func TestContextEndsTheSession(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := mux.New(a, mux.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	cause := errors.New("shutting down")
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Fatalf("run returned %v, want the context's cause", err)
	}
	got, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if h := frame.ParseHeader(got); h.Type != frame.GoAway {
		t.Fatalf("the peer read % x, want a GOAWAY", got)
	}
}
