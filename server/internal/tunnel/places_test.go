package tunnel

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// Agents that sit there, authenticated or not, take no more than their share
// of the descriptors.
func TestT73_AgentConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		silent := w.connect("192.0.2.1")
		w.online()
		w.online()
		synctest.Wait()
		net1 := memnet.New()
		ln, err := net1.Listen("tcp", "10.0.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		accepts := &countedAccepts{Listener: ln}
		served := make(chan struct{})
		go func() { w.srv.Serve(context.Background(), accepts); close(served) }()
		synctest.Wait()
		if n := accepts.n.Load(); n != 0 {
			t.Fatalf("Accept was called %d times without a place", n)
		}
		over := w.connect("192.0.2.2")
		<-over.mux.Done() // one that was accepted elsewhere is closed
		select {
		case <-silent.mux.Done():
			t.Error("one that is within the bound was closed")
		default:
		}
		a.mux.Close()
		synctest.Wait()
		if n := accepts.n.Load(); n != 1 {
			t.Errorf("Accept was called %d times, want once for the free place", n)
		}
		<-silent.mux.Done() // it never authenticates
		synctest.Wait()
		w.online()
		_ = ln.Close()
		<-served
	}, func(c *Config) { c.Limits.Connections = 4; c.Limits.Pending = 4 })
}

// countedAccepts counts the calls of Accept.
type countedAccepts struct {
	net.Listener
	n atomic.Int64
}

func (l *countedAccepts) Accept() (net.Conn, error) {
	l.n.Add(1)
	return l.Listener.Accept()
}

// Who never authenticates leaves half of the connections to those who do.
func TestT73_PendingAgentsLeaveRoom(t *testing.T) {
	t.Parallel()
	for conns, want := range map[int]int{4: 2, 100: 50, 1_000_000: 11_000} {
		l := Limits{Connections: conns}.withDefaults()
		if got := l.Pending + l.Queue; got != want {
			t.Errorf("of %d connections %d may be pending, want %d", conns, got, want)
		}
	}
}
