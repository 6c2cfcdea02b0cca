package mux_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
)

// copied is a socket that Splice does not know as one.
type copied struct{ net.Conn }

func (c copied) CloseWrite() error { return netx.CloseWrite(c.Conn) }

func (c copied) NetConn() net.Conn { return c.Conn }

func copiedPair(t *testing.T) (near, far net.Conn) {
	near, far = tcpPair(t)
	return copied{near}, copied{far}
}

var sockets = []struct {
	name string
	pair func(*testing.T) (net.Conn, net.Conn)
}{{"socket", tcpPair}, {"own socket", ownPair}, {"copied", copiedPair}}

// An upstream reads a little, answers and closes, with bytes unread, while the
// client still sends.
func TestF09_AnswerOfAnUpstreamThatClosesAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range sockets {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
			for range 30 {
				client, upstream, results := chain(t, tt.pair, mux.SpliceOptions{})
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					chunk := make([]byte, 4<<10)
					for {
						if _, err := client.Write(chunk); err != nil {
							return
						}
					}
				}()
				if _, err := io.ReadFull(upstream, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				if _, err := upstream.Write(answer); err != nil {
					t.Fatal(err)
				}
				_ = upstream.Close()
				got := make([]byte, len(answer))
				if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, answer) {
					t.Fatalf("client read %d bytes, %v; want all %d", n, err, len(answer))
				}
				for range 2 { // nobody waits for the client
					<-results
				}
				<-sent
			}
		})
	}
}

// What an agent sent ahead of a reset reaches a client that reads slowly, and
// then the client's connection breaks off.
func TestSpliceDeliversWhatIsAheadOfAReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, public := memPair(t)
		_, peer, done := spliced(t, public)
		answer := bytes.Repeat([]byte("0123456789abcdef"), mux.Window/16)
		if _, err := peer.Write(answer); err != nil {
			t.Fatal(err)
		}
		peer.Abort()
		synctest.Wait()
		got := make([]byte, len(answer))
		if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, answer) {
			t.Fatalf("client read %d bytes, %v; want all %d", n, err, len(answer))
		}
		var se *mux.StreamError
		if r := <-done; !errors.As(r.Err, &se) || !se.Remote {
			t.Errorf("ended with %v, want the agent's reset", r.Err)
		}
	})
}

// A client that does not take what came ahead of a reset is cut off.
func TestSpliceOfAResetEndsWithoutTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, public := memPair(t)
		_, peer, done := spliced(t, public)
		if _, err := peer.Write(make([]byte, mux.Window)); err != nil {
			t.Fatal(err)
		}
		peer.Abort()
		if r := <-done; r.Err == nil {
			t.Error("no error is recorded")
		}
	})
}
