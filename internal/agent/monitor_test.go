package agent

import (
	"context"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/agent/console"
)

// The view follows the size of the terminal when that changes, not with the
// next regular draw.
func TestViewFollowsTheSizeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		resized := make(chan os.Signal, 1)
		m := newMonitor(&Config{Resized: resized, View: console.NewScreen(io.Discard, false, func() (int, int) { asked++; return 80, 24 })})
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go m.run(ctx)
		synctest.Wait()
		began, before := time.Now(), asked
		resized <- syscall.SIGINT // any signal will do
		synctest.Wait()
		if asked != before+1 || time.Since(began) != 0 {
			t.Errorf("%d draws after %v, want one at once", asked-before, time.Since(began))
		}
	})
}
