package backoff

import (
	"context"
	"time"
)

// Sleep waits for d, or until ctx ends if that is sooner. It reports whether ctx let it wait to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
