package culvert

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

// An upstream reads a little, answers and closes, with bytes unread, while the
// client still sends.
func TestF09_RelayedAnswerOfAnUpstreamThatClosesAtOnce(t *testing.T) {
	t.Parallel()
	answer := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	for range 30 {
		client, front := tcpPair(t)
		back, upstream := tcpPair(t)
		over, sent := make(chan struct{}), make(chan struct{})
		go func() { defer close(over); relay(front, back) }()
		go func() {
			defer close(sent)
			for chunk := make([]byte, 4<<10); ; {
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
		<-over // nobody waits for the client
		<-sent
	}
}
