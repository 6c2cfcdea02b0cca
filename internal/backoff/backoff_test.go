package backoff_test

import (
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
)

// ceilings observes the largest of many delays at each step, which comes near the step's ceiling.
func ceilings(b backoff.Backoff, steps int) []time.Duration {
	most := make([]time.Duration, steps)
	for range 2000 {
		b.Reset()
		for i := range most {
			most[i] = max(most[i], b.Next())
		}
	}
	return most
}

func TestNext(t *testing.T) {
	t.Parallel()
	const s = time.Second
	tests := []struct {
		name string
		b    backoff.Backoff
		want []time.Duration
	}{
		{"defaults", backoff.Backoff{}, []time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		{"own bounds", backoff.Backoff{Min: s, Max: 3 * s}, []time.Duration{s, 2 * s, 3 * s, 3 * s}},
		{"max below min", backoff.Backoff{Min: 4 * s, Max: s}, []time.Duration{4 * s, 4 * s}},
		{"huge", backoff.Backoff{Min: 1 << 61, Max: 1<<63 - 2}, []time.Duration{1 << 61, 1 << 62, 1<<63 - 2, 1<<63 - 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i, got := range ceilings(tt.b, len(tt.want)) {
				if want := tt.want[i]; got > want || got < want/100*95 {
					t.Errorf("largest delay of step %d = %v, want just below %v", i, got, want)
				}
			}
		})
	}
}

func TestNextSpreads(t *testing.T) {
	t.Parallel()
	low := 0
	for range 1000 {
		b := backoff.Backoff{Min: time.Second}
		if b.Next() < time.Second/2 {
			low++
		}
	}
	if low < 400 || low > 600 {
		t.Errorf("%d of 1000 first delays lie in the lower half, want about 500", low)
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	b := backoff.Backoff{Min: time.Second, Max: time.Hour}
	b.Lower(time.Minute) // the first delay stays the first
	if d := b.Next(); d > time.Second {
		t.Errorf("first delay %v, want at most 1s", d)
	}
	for range 20 {
		b.Next()
	}
	b.Lower(3 * time.Second)
	for range 2 {
		if d := b.Next(); d > 6*time.Second {
			t.Errorf("got %v, want at most 3s, then 6s", d)
		}
	}
}
