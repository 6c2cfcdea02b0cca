package tunnel

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
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
		waited := make(chan struct{})
		go func() { w.srv.AwaitPlace(t.Context()); close(waited) }()
		synctest.Wait()
		select {
		case <-waited:
			t.Fatal("another connection would be accepted")
		default:
		}
		over := w.connect("192.0.2.2")
		<-over.mux.Done() // one that was accepted elsewhere is closed
		select {
		case <-silent.mux.Done():
			t.Error("one that is within the bound was closed")
		default:
		}
		a.mux.Close()
		<-waited
		w.online()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.srv.AwaitPlace(ctx) // ends with its context
		<-silent.mux.Done()   // it never authenticates
		synctest.Wait()
		w.online()
	}, func(c *Config) { c.Limits.Connections = 4; c.Limits.Pending = 4 })
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
