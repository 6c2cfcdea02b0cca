package backoff

import (
	"math/rand/v2"
	"time"
)

// Defaults of a zero Backoff (agent.md 10.6).
const (
	DefaultMin = 500 * time.Millisecond
	DefaultMax = 30 * time.Second
)

// Backoff yields the delays between attempts. The zero value is ready for use. It is not safe for concurrent
// use.
type Backoff struct {
	// Min is the ceiling of the first delay and Max that of the last ones; 0 or less means DefaultMin and
	// DefaultMax. A Max below Min counts as Min.
	Min, Max time.Duration

	ceiling time.Duration // of the next delay; 0 before the first
}

// Next returns how long to wait before the next attempt: a random time from zero up to a ceiling that begins
// at Min and doubles with each call until Max.
func (b *Backoff) Next() time.Duration {
	lowest, highest := b.bounds()
	if b.ceiling == 0 {
		b.ceiling = lowest
	}
	d := rand.N(b.ceiling + 1)
	if b.ceiling > highest/2 {
		b.ceiling = highest
	} else {
		b.ceiling *= 2
	}
	return d
}

// Reset makes the next delay the first one again.
func (b *Backoff) Reset() { b.ceiling = 0 }

// Lower makes the ceiling of the next delay most, if it is above that.
func (b *Backoff) Lower(most time.Duration) { b.ceiling = min(b.ceiling, most) }

func (b *Backoff) bounds() (lowest, highest time.Duration) {
	lowest, highest = b.Min, b.Max
	if lowest <= 0 {
		lowest = DefaultMin
	}
	if highest <= 0 {
		highest = DefaultMax
	}
	return lowest, max(lowest, highest)
}
