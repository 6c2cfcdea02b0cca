package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  time.Duration // of the context
		want bool
		took time.Duration
	}{
		"to the end":        {2 * time.Second, true, time.Second},
		"until ctx ends":    {300 * time.Millisecond, false, 300 * time.Millisecond},
		"ctx ended already": {0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.end)
				defer cancel()
				start := time.Now()
				got := backoff.Sleep(ctx, time.Second)
				if took := time.Since(start); got != tt.want || took != tt.took {
					t.Errorf("got %v after %v, want %v after %v", got, took, tt.want, tt.took)
				}
			})
		})
	}
}
