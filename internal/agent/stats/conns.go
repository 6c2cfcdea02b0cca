package stats

import (
	"math"
	"slices"
	"sync"
	"time"
)

// window is how many of the latest durations the percentiles look at.
const window = 1024

// Conns counts connections. The zero value is ready to use.
type Conns struct {
	mu    sync.Mutex
	total int64 // guarded by mu, as is all below
	open  int64
	rate1 average
	rate5 average
	ring  []time.Duration
	next  int // place in ring of the next duration, once ring is full
}

// Snapshot is what the counts were at one moment.
type Snapshot struct {
	Total int64         // connections so far
	Open  int64         // connections now
	Rate1 float64       // connections per second, averaged over one minute
	Rate5 float64       // connections per second, averaged over five minutes
	P50   time.Duration // median duration of the latest closed connections
	P90   time.Duration // duration that nine in ten of them did not exceed
}

// Opened counts a connection that began at the time now.
func (c *Conns) Opened(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	c.open++
	c.rate1.add(now, time.Minute)
	c.rate5.add(now, 5*time.Minute)
}

// Closed counts the end of a connection that lasted for d.
func (c *Conns) Closed(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = max(c.open-1, 0)
	if len(c.ring) < window {
		c.ring = append(c.ring, d)
		return
	}
	c.ring[c.next] = d
	c.next = (c.next + 1) % window
}

// Snapshot returns the counts at the time now.
func (c *Conns) Snapshot(now time.Time) Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	sorted := slices.Sorted(slices.Values(c.ring))
	return Snapshot{
		Total: c.total,
		Open:  c.open,
		Rate1: c.rate1.value(now, time.Minute),
		Rate5: c.rate5.value(now, 5*time.Minute),
		P50:   percentile(sorted, 0.50),
		P90:   percentile(sorted, 0.90),
	}
}

// percentile returns the smallest of the sorted durations that at least the
// share p of them does not exceed (nearest rank).
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// average is an exponentially decaying rate of events. Each event adds 1/span
// per second, and what has been added fades with the time constant span, so a
// steady stream of r events per second settles at r.
type average struct {
	rate float64 // as of last
	last time.Time
}

func (a *average) add(now time.Time, span time.Duration) {
	a.rate = a.value(now, span) + 1/span.Seconds()
	if now.After(a.last) {
		a.last = now
	}
}

func (a *average) value(now time.Time, span time.Duration) float64 {
	if a.last.IsZero() || !now.After(a.last) {
		return a.rate
	}
	return a.rate * math.Exp(-now.Sub(a.last).Seconds()/span.Seconds())
}
