package tunnel

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// TestH01_RustSessionsAreAcknowledgedAtOnce: agents that leave Nagle's algorithm
// on wait for an acknowledgement; others spare us the system call.
func TestH01_RustSessionsAreAcknowledgedAtOnce(t *testing.T) {
	t.Parallel()
	for userAgent, want := range map[string]bool{
		"ngrok-javascript/1.7.0 ngrok-rust/0.18.0": true,
		"ngrok-go/2.1.1": false,
	} {
		t.Run(userAgent, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *Config) { c.TLS = selfSigned(t) })
			t.Cleanup(w.srv.Close)
			client, socket := overTCP(t, w)
			req := goodAuth()
			req.Extra.UserAgent = userAgent
			body, err := json.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Write(frame.AppendData(nil, 3, frame.SYN, append([]byte{0, 0, 0, byte(wire.TypeAuth)}, body...))); err != nil {
				t.Fatal(err)
			}
			for h := (frame.Header{}); h.Flags&frame.FIN == 0; { // the answer
				b := make([]byte, frame.HeaderSize)
				if _, err := io.ReadFull(client, b); err != nil {
					t.Fatal(err)
				}
				h = frame.ParseHeader(b)
				if _, err := io.ReadFull(client, make([]byte, h.Length)); err != nil {
					t.Fatal(err)
				}
			}
			session := w.srv.sessions()[0].mux
			read := func() (atOnce bool) {
				option(t, socket, func(fd int) error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, 12, 0) })
				before := session.LastReceived()
				if _, err := client.Write(frame.AppendData(nil, 99, 0, nil)); err != nil { // one read, and no answer
					t.Fatal(err)
				}
				for session.LastReceived().Equal(before) {
					runtime.Gosched()
				}
				option(t, socket, func(fd int) error {
					v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, 12)
					atOnce = v != 0
					return err
				})
				return atOnce
			}
			// When a read comes late, Linux acknowledges at once by itself.
			delayed := 0
			for range 50 {
				if !read() {
					delayed++
				}
			}
			if want != (delayed == 0) {
				t.Errorf("%d of 50 reads are acknowledged with delay, want none for Rust sessions and some for others", delayed)
			}
		})
	}
}

// overTCP connects an agent over loopback, and returns its end and the server's
// socket.
func overTCP(t *testing.T, w *world) (*tls.Conn, *net.TCPConn) {
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
	go w.srv.ServeConn(context.Background(), far)
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is this test
	t.Cleanup(func() { _ = client.Close() })
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client, far.(*net.TCPConn)
}

func option(t *testing.T, c *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
