package stats_test

import (
	"math"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent/stats"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestCounts(t *testing.T) {
	t.Parallel()
	var c stats.Conns
	if got := c.Snapshot(start); got != (stats.Snapshot{}) {
		t.Errorf("empty = %+v, want zeros", got)
	}
	for i := range 10 {
		c.Opened(start)
		if i < 7 {
			c.Closed(time.Duration(i+1) * time.Second)
		}
	}
	got := c.Snapshot(start)
	if got.Total != 10 || got.Open != 3 {
		t.Errorf("total %d, open %d, want 10 and 3", got.Total, got.Open)
	}
	if got.P50 != 4*time.Second || got.P90 != 7*time.Second {
		t.Errorf("p50 %v, p90 %v, want 4s and 7s", got.P50, got.P90)
	}
}

func TestRatesSettleAndFade(t *testing.T) {
	t.Parallel()
	var c stats.Conns
	now := start
	for range 30 * 60 * 2 { // half an hour of two connections a second
		c.Opened(now)
		c.Closed(time.Millisecond)
		now = now.Add(500 * time.Millisecond)
	}
	got := c.Snapshot(now)
	if math.Abs(got.Rate1-2) > 0.05 || math.Abs(got.Rate5-2) > 0.05 {
		t.Errorf("rates %.3f and %.3f, want about 2", got.Rate1, got.Rate5)
	}
	later := c.Snapshot(now.Add(time.Minute))
	if want := got.Rate1 / math.E; math.Abs(later.Rate1-want) > 0.01 {
		t.Errorf("rate1 a minute later %.3f, want %.3f", later.Rate1, want)
	}
	if later.Rate5 <= later.Rate1 {
		t.Errorf("rate5 %.3f fades faster than rate1 %.3f", later.Rate5, later.Rate1)
	}
}

func TestPercentilesForgetOldDurations(t *testing.T) {
	t.Parallel()
	var c stats.Conns
	for range 5000 {
		c.Closed(time.Hour)
	}
	for range 1024 {
		c.Closed(time.Second)
	}
	if got := c.Snapshot(start); got.P90 != time.Second {
		t.Errorf("p90 %v, want 1s: old durations are still counted", got.P90)
	}
	if got := c.Snapshot(start); got.Open != 0 {
		t.Errorf("open %d, want 0", got.Open)
	}
}
