package tunnel

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An agent that does nothing but beat costs the server one goroutine, and the
// heartbeats do not make it more.
//
// It looks at all goroutines of the process, so it does not run in parallel.
func TestIdleSessionHasOneGoroutine(t *testing.T) { //nolint:paralleltest // see above
	bubble(t, func(t *testing.T, w *world) {
		const n = 20
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range n {
			a := w.online()
			a.mustBind(httpsBind())
			go func() { _ = a.peer.Heartbeat(ctx, 10*time.Second, 15*time.Second, nil) }()
		}
		for range 2 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := w.srv.NumSessions(); got != n {
				t.Fatalf("%d sessions are online, want %d", got, n)
			}
			all := make([]byte, 4<<20)
			all = all[:runtime.Stack(all, true)]
			got := 0
			for one := range strings.SplitSeq(string(all), "\n\n") {
				if strings.Contains(one, "tunnel.(*Server)") || strings.Contains(one, "tunnel.(*session)") || strings.Contains(one, "wire.(*server)") {
					got++
				}
			}
			if got != n {
				t.Errorf("%d sessions have %d goroutines of the server, want one each", n, got)
			}
		}
	})
}
