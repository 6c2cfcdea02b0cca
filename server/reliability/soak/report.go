package main

import (
	"context"
	"fmt"
	"time"

	"github.com/culvert-project/culvert/server/reliability"
)

// Growth that is too much: of goroutines and descriptors between the rest before
// the load and that behind it, since what they are in between depends on what
// the clients keep open; of memory between the first and the last third, where
// a run is too short for a slope.
const (
	growth      = 1.05
	growthShort = 1.10
	spare       = 10 // goroutines and descriptors that come and go
	// slopeFrom is how long samples must span for a slope an hour to mean
	// something.
	slopeFrom = 15 * time.Minute
	// bodyRoom is how much memory a body may take on its way, whatever its
	// size: windows, buffers, and what the collector has not got to yet.
	bodyRoom = 64 << 20
)

func rss(s sample) int64        { return s.rss }
func heap(s sample) int64       { return s.heap }
func goroutines(s sample) int64 { return int64(s.goroutines) }
func handles(s sample) int64    { return int64(s.handles) }

// table prints what has been measured.
func (r *rig) table(counts reliability.Counts, took time.Duration) {
	ok := counts.Sum(every) - counts.Failed()
	fmt.Printf("\n| %-12s | %-26s | %-26s |\n|---|---|---|\n", "", "server", "agent")
	row := func(what string, f func(history) string) {
		fmt.Printf("| %-12s | %-26s | %-26s |\n", what, f(*r.histories[r.server]), f(*r.histories[r.agent]))
	}
	span := func(pick func(sample) int64, unit int64) func(history) string {
		return func(h history) string {
			low, high := h.spread(pick)
			first, last := h.thirds(pick)
			return fmt.Sprintf("%d to %d (%.1f, %.1f)", low/unit, high/unit, first/float64(unit), last/float64(unit))
		}
	}
	row("memory, MiB", span(rss, 1<<20))
	slope := func(pick func(sample) int64) func(history) string {
		return func(h history) string {
			percent, off := h.slope(pick)
			return fmt.Sprintf("%+.1f, ± %.1f", percent, off)
		}
	}
	row("slope, %/h", slope(rss))
	row("heap, KiB", span(heap, 1<<10))
	row("slope, %/h", slope(heap))
	row("goroutines", span(goroutines, 1))
	row("descriptors", span(handles, 1))
	for c, s := range r.after {
		b := r.before[c]
		fmt.Printf("without load, before and after, the %s: %d and %d goroutines, %d and %d descriptors\n",
			c.name, b.goroutines, s.goroutines, b.handles, s.handles)
	}
	fmt.Printf("\nLowest to highest after the warm-up, and the means of the first and the last third.\n")
	fmt.Printf("%d requests and messages answered in %v (%.0f/s); faults: %v\n", ok, took.Round(time.Second), float64(ok)/took.Seconds(), r.faults)
	fmt.Printf("expected failures:   %d (%v)\nunexpected failures: %d (%v)\n",
		r.expected.Sum(every), r.expected, r.unexpected.Sum(every), r.unexpected)
}

// problems lists what must not be.
func (r *rig) problems() (all []string) {
	if n := r.unexpected.Sum(every); n > 0 {
		all = append(all, fmt.Sprintf("%d unexpected failures", n))
	}
	for c, h := range r.histories {
		for _, what := range grown(r.before[c], r.after[c]) {
			all = append(all, fmt.Sprintf("the %s has more %s when the load is over", c.name, what))
		}
		first, last := h.thirds(rss)
		percent, off := h.slope(rss)
		switch long := len(*h) > 2 && (*h)[len(*h)-1].at.Sub((*h)[0].at) >= slopeFrom; {
		case long && percent-off > r.s.slope:
			all = append(all, fmt.Sprintf("memory of the %s grows by %.1f %% an hour, give or take %.1f", c.name, percent, off))
		case !long && last > growthShort*first:
			all = append(all, fmt.Sprintf("memory of the %s grew from %.0f to %.0f MiB", c.name, first/(1<<20), last/(1<<20)))
		}
	}
	return all
}

// grown names what there is too much of since before.
func grown(before, now sample) (all []string) {
	for what, f := range map[string]func(sample) int64{"goroutines": goroutines, "descriptors": handles} {
		if b, n := f(before), f(now); float64(n) > growth*float64(b)+spare {
			all = append(all, fmt.Sprintf("%s (%d, before %d)", what, n, b))
		}
	}
	return all
}

// bodies passes one large body each way and watches memory.
func (r *rig) bodies(ctx context.Context) (problems []string, err error) {
	n := r.s.body
	if n == 0 {
		return nil, nil
	}
	c := reliability.Client(reliability.Loopback{}, r.cas, true)
	defer c.CloseIdleConnections()
	for _, b := range []struct {
		name string
		pass func() reliability.Outcome
	}{
		{"upload", func() reliability.Outcome { o, _ := reliability.Upload(ctx, c, r.agent.URL, n); return o }},
		{"download", func() reliability.Outcome { o, _ := reliability.Get(ctx, c, r.agent.URL, false, n); return o }},
	} {
		base := map[*child]int64{}
		peak := map[*child]int64{}
		for _, p := range []*child{r.server, r.agent} {
			s, err := p.look(ctx)
			if err != nil {
				return nil, err
			}
			base[p] = s.rss
		}
		start, done := time.Now(), make(chan reliability.Outcome, 1)
		go func() { done <- b.pass() }()
		tick := time.NewTicker(100 * time.Millisecond)
		var o reliability.Outcome
		for o == "" {
			select {
			case o = <-done:
			case <-tick.C:
			}
			for p := range base {
				peak[p] = max(peak[p], resident(p.pid))
			}
		}
		tick.Stop()
		took := time.Since(start)
		fmt.Printf("%s of %d MiB: %s in %v, %.0f MB/s", b.name, n>>20, o, took.Round(time.Second), float64(n)/1e6/took.Seconds())
		for _, p := range []*child{r.server, r.agent} {
			fmt.Printf("; %s %d MiB, at most %d", p.name, base[p]>>20, peak[p]>>20)
			if peak[p] > base[p]+bodyRoom {
				problems = append(problems, fmt.Sprintf("memory of the %s grew by %d MiB during the %s", p.name, (peak[p]-base[p])>>20, b.name))
			}
		}
		fmt.Println()
		if o != reliability.OK {
			problems = append(problems, fmt.Sprintf("the %s came to %q", b.name, o))
		}
	}
	return problems, ctx.Err()
}
