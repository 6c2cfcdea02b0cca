package mux_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// echoing returns a client whose server echoes on every stream, and how many
// echoes have ended.
func echoing(t *testing.T) (*mux.Session, *atomic.Int64) {
	t.Helper()
	var ended atomic.Int64
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	server := mux.New(b, mux.Config{Role: mux.Server})
	server.Handle(func(st *mux.Stream) {
		go st.Echo(func() { ended.Add(1) })
	})
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(context.Background()) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return run(t, a, mux.Client, mux.Config{}), &ended
}

func TestEchoOfTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, ended := echoing(t)
		first := bytes.Repeat([]byte("a"), 1000)
		st := open(t, client, string(first))
		for _, want := range [][]byte{first, []byte("beat"), bytes.Repeat([]byte("b"), 100<<10), []byte("c")} {
			if len(want) != len(first) {
				if _, err := st.Write(want); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(st, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("echo of %d bytes differs, or failed: %v", len(want), err)
			}
		}
		if ended.Load() != 0 {
			t.Error("the echo ended while the stream was open")
		}
		_ = st.CloseWrite()
		_, err := st.Read(make([]byte, 1))
		var se *mux.StreamError
		if !errors.As(err, &se) || se.Code != frame.StreamCancelled {
			t.Errorf("after our half-close: got %v, want the stream reset", err)
		}
		synctest.Wait()
		if ended.Load() != 1 || client.NumStreams() != 0 {
			t.Errorf("%d echoes ended, %d streams left; want 1 and 0", ended.Load(), client.NumStreams())
		}
	})
}

// A peer that sends for ever and gives no credit for what comes back does not
// fill our memory.
func TestEchoIsBoundedByCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, ended := echoing(t)
		st := open(t, client, "x")
		piece := make([]byte, 32<<10)
		var err error
		for sent := 0; err == nil && sent < 4*mux.Window; sent += len(piece) {
			_, err = st.Write(piece)
		}
		var se *mux.StreamError
		if !errors.As(err, &se) || se.Code != frame.EnhanceYourCalm {
			t.Errorf("got %v, want a reset with %v", err, frame.EnhanceYourCalm)
		}
		synctest.Wait()
		if ended.Load() != 1 {
			t.Errorf("%d echoes ended, want 1", ended.Load())
		}
	})
}

func TestEchoEndsWithTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, ended := echoing(t)
		for range 3 {
			if _, err := io.ReadFull(open(t, client, "beat"), make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
		}
		_ = client.Close()
		synctest.Wait()
		if ended.Load() != 3 {
			t.Errorf("%d echoes ended, want 3", ended.Load())
		}
	})
}
