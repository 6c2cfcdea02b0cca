package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// TestH01_RustSessionsAreAcknowledgedAtOnce: agents that leave Nagle's algorithm
// on wait for an acknowledgement; others spare us the system call.
func TestH01_RustSessionsAreAcknowledgedAtOnce(t *testing.T) {
	t.Parallel()
	for userAgent, want := range map[string]int{
		"ngrok-javascript/1.7.0 ngrok-rust/0.18.0": 1,
		"ngrok-go/2.1.1": 0,
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
			before := session.LastReceived()
			quickAck := 0
			option(t, socket, func(fd int) error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, 12, 0) })
			if _, err := client.Write(frame.AppendWndInc(nil, 99, 1)); err != nil { // asks for no answer
				t.Fatal(err)
			}
			for session.LastReceived().Equal(before) {
				runtime.Gosched()
			}
			option(t, socket, func(fd int) (err error) {
				quickAck, err = syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, 12)
				return err
			})
			if quickAck != want {
				t.Errorf("TCP_QUICKACK is %d after a read, want %d", quickAck, want)
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

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}} //nolint:gosec // a test
}
