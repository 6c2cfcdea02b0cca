package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// link is a network between agent and server that can fall silent: bytes
// disappear and nothing is closed.
type link struct {
	net.Listener
	to string
	wg sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn    // guarded by mu, as is all below
	open  chan struct{} // closed while bytes pass
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{Listener: ln, to: to, open: make(chan struct{})}
	close(l.open)
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		ln.Close()
		l.heal()
		l.mu.Lock()
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

func (l *link) accept() {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil {
			near.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, near, far)
		l.mu.Unlock()
		l.wg.Go(func() { l.pump(near, far) })
		l.wg.Go(func() { l.pump(far, near) })
	}
}

// pump moves bytes, while they pass.
func (l *link) pump(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}

// silence lets no byte pass any more, in either direction.
func (l *link) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

// heal lets bytes pass again.
func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}
