package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
)

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

// desk is a server's TLS whose handshakes take as long as work says, and which
// notes whose they are. It stands where handshakes compute.
type desk struct {
	work func(name string)

	mu    sync.Mutex
	names []string
	now   int
	most  int
}

func (d *desk) tls(t *testing.T) *tls.Config {
	cfg := selfSigned(t)
	cert := cfg.Certificates[0]
	cfg.Certificates = nil
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		d.mu.Lock()
		d.names = append(d.names, hello.ServerName)
		d.now++
		d.most = max(d.most, d.now)
		d.mu.Unlock()
		d.work(hello.ServerName)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.now--
		return &cert, nil
	}
	return cfg
}

func (d *desk) served() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.names)
}

// greet makes a handshake with the server under a name and returns its outcome.
func greet(t *testing.T, w *world, near, far net.Conn, name string) chan error {
	t.Helper()
	go w.srv.ServeConn(context.Background(), far)
	done := make(chan error, 1)
	go func() {
		c := tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // the server is this test
		done <- c.HandshakeContext(context.Background())
	}()
	t.Cleanup(func() { _ = near.Close() })
	return done
}

func memPair() (near, far net.Conn) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5555}
	return memnet.Pipe(addr, addr)
}

// hello returns the first message of a client.
func hello(t *testing.T, name string) []byte {
	t.Helper()
	near, far := memPair()
	defer near.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true}).HandshakeContext(t.Context()) //nolint:gosec // never made
	}()
	head := make([]byte, 5) // of the record, the last two bytes being its length
	if _, err := io.ReadFull(far, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// Of many agents that come at once few compute at a time, in the order in which
// they came, and each is served.
func TestF34_HandshakesTakeTurns(t *testing.T) {
	t.Parallel()
	d := &desk{work: func(string) { time.Sleep(10 * time.Millisecond) }}
	bubble(t, func(t *testing.T, w *world) {
		var want []string
		var all []chan error
		for i := range 100 {
			near, far := memPair()
			want = append(want, fmt.Sprintf("agent%d.test", i))
			all = append(all, greet(t, w, near, far, want[i]))
			synctest.Wait()
		}
		for i, done := range all {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", want[i], err)
			}
		}
		got := d.served()
		for i, name := range want { // turns that begin at the same moment have no order
			if at := slices.Index(got, name); at/turnsAtOnce() != i/turnsAtOnce() {
				t.Errorf("%s was served as number %d, want the order of the hellos", name, at)
			}
		}
		if d.most > turnsAtOnce() {
			t.Errorf("%d handshakes computed at once, want %d at most", d.most, turnsAtOnce())
		}
	}, func(c *Config) { c.TLS = d.tls(t) })
}

// Who does not take or answer what the server sent holds up nobody.
func TestF34_SilentPeersHoldNoTurn(t *testing.T) {
	t.Parallel()
	d := &desk{work: func(string) {}}
	bubble(t, func(t *testing.T, w *world) {
		first := hello(t, "silent.test")
		for range 3 * turnsAtOnce() {
			near, far := memPair()
			go w.srv.ServeConn(context.Background(), far)
			if _, err := near.Write(first); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = near.Close() })
		}
		synctest.Wait()
		near, far := memPair()
		start := time.Now()
		if err := <-greet(t, w, near, far, "agent.test"); err != nil || time.Since(start) != 0 {
			t.Errorf("an agent is greeted after %v: %v; want at once", time.Since(start), err)
		}
	}, func(c *Config) { c.TLS = d.tls(t) })
}

// A turn that does not come in time is given up, while there is time left for
// the agent to be told.
func TestF34_TurnIsAwaitedForAWhile(t *testing.T) {
	t.Parallel()
	d := &desk{work: func(string) { time.Sleep(14 * time.Second) }}
	bubble(t, func(t *testing.T, w *world) {
		for range turnsAtOnce() {
			near, far := memPair()
			greet(t, w, near, far, "slow.test")
		}
		synctest.Wait()
		near, far := memPair()
		start := time.Now()
		if err := <-greet(t, w, near, far, "agent.test"); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("greeted after %v: %v; want it refused after 10s", time.Since(start), err)
		}
	}, func(c *Config) { c.TLS = d.tls(t) })
}

// Nothing is computed for a peer that has gone while it waited.
func TestF34_VanishedPeersLoseTheirTurn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	d := &desk{work: func(name string) {
		if name == "slow.test" {
			<-release
		}
	}}
	w := newWorld(t, func(c *Config) { c.TLS = d.tls(t) })
	t.Cleanup(w.srv.Close)
	var want []string
	for range turnsAtOnce() {
		near, far := memPair()
		greet(t, w, near, far, "slow.test")
		want = append(want, "slow.test")
	}
	for len(d.served()) < turnsAtOnce() {
		<-time.After(time.Millisecond)
	}
	gone := hello(t, "gone.test")
	for range 3 * turnsAtOnce() {
		near, far := loopback(t)
		go w.srv.ServeConn(context.Background(), far)
		if _, err := near.Write(gone); err != nil {
			t.Fatal(err)
		}
		_ = near.Close()
	}
	near, far := loopback(t)
	done := greet(t, w, near, far, "agent.test")
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := d.served(); !slices.Equal(got, append(want, "agent.test")) {
		t.Errorf("handshakes were computed for %v, want %v and the agent", got, want)
	}
}

// loopback returns both ends of a connection over TCP.
func loopback(t *testing.T) (near, far net.Conn) {
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
	return near, far
}
