package mux_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// spliced joins a stream of one session with a connection and returns the
// other end of both.
func spliced(t *testing.T, near net.Conn) (*mux.Session, *mux.Stream, chan mux.SpliceResult) {
	t.Helper()
	agent, edge := sessions(t, mux.Config{})
	st := open(t, edge, "h")
	done := make(chan mux.SpliceResult, 1)
	go func() { done <- mux.Splice(st, near, mux.SpliceOptions{}) }()
	peer := accept(t, agent)
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return edge, peer, done
}

// A transfer that was cut off must not look complete.
func TestSpliceAbortReachesTheClient(t *testing.T) {
	t.Parallel()
	ends := []struct {
		name string
		end  func(*mux.Stream)
	}{
		{"abort", (*mux.Stream).Abort},
		{"reset", func(st *mux.Stream) { st.Reset(frame.StreamReset) }},
		{"session", func(st *mux.Stream) { _ = st.Session().Close() }},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, public := tcpPair(t)
			_, peer, done := spliced(t, public)
			if _, err := peer.Write([]byte("part")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			tt.end(peer)
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("client reads %v, want a reset", err)
			}
			if r := <-done; r.Err == nil {
				t.Error("no error is recorded")
			}
		})
	}
}

// A client's reset reaches the upstream as one.
func TestF10_ClientResetReachesTheUpstream(t *testing.T) {
	t.Parallel()
	client, upstream, results := chain(t, tcpPair, mux.SpliceOptions{})
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(upstream, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = client.(*net.TCPConn).SetLinger(0)
	_ = client.Close()
	for range 2 {
		if r := <-results; r.Err == nil {
			t.Error("no error is recorded")
		}
	}
	_, err := upstream.Write(make([]byte, 1))
	for err == nil {
		_, err = upstream.Write(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("upstream writes: %v, want a broken connection", err)
	}
}

// The upstream has answered and closed, so that what the client still sends is
// refused; the slow client gets all of the answer none the less.
func TestSpliceFinishesTheAnswerOfAPeerThatIsDone(t *testing.T) {
	t.Parallel()
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, public := tt.pair(t)
			for _, c := range []net.Conn{client, public} {
				if tcp, ok := c.(*net.TCPConn); ok { // so that most of it waits in the stream
					_ = tcp.SetReadBuffer(32 << 10)
					_ = tcp.SetWriteBuffer(32 << 10)
				}
			}
			edge, peer, done := spliced(t, public)
			answer := bytes.Repeat([]byte("0123456789abcdef"), mux.Window/16)
			if _, err := peer.Write(answer); err != nil {
				t.Fatal(err)
			}
			if err := peer.Close(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "what the client sends is refused", func() bool {
				_ = client.SetWriteDeadline(time.Now().Add(time.Millisecond))
				_, _ = client.Write([]byte("more"))
				return edge.NumStreams() == 0
			})
			got, err := io.ReadAll(client)
			if err != nil || !bytes.Equal(got, answer) {
				t.Fatalf("client read %d bytes, %v; want all %d and EOF", len(got), err, len(answer))
			}
			_ = client.Close()
			if r := <-done; r.Err != nil {
				t.Fatalf("ended with %v, want a regular end", r.Err)
			}
		})
	}
}
