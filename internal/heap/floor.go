package heap

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// usual is the runtime's own setting: a heap may grow by so many percent of what
// is alive.
const usual = 100

// Floor lets the heap grow to about so many bytes before it is collected,
// whatever little of it is alive, until the function it returns is called. A heap
// of which more than half of that is alive is collected as ever. The setting of
// somebody who sets GOGC stands: Floor does nothing then. GOMEMLIMIT holds beside
// it.
func Floor(bytes uint64) (end func()) {
	if set := debug.SetGCPercent(usual); set != usual {
		debug.SetGCPercent(set)
		return func() {}
	}
	f := &floor{bytes: bytes, percent: usual}
	f.adjust()
	f.watch()
	return f.end
}

type floor struct {
	bytes uint64

	mu      sync.Mutex
	percent int  // in force
	ended   bool // nothing is to be set any more
}

// watch has the collector's next run followed by an adjustment: what is alive is
// known only then.
func (f *floor) watch() {
	type sentinel struct{ _ *floor } // a pointer keeps it out of blocks shared with others
	runtime.AddCleanup(new(sentinel), func(f *floor) {
		if f.adjust() {
			f.watch()
		}
	}, f)
}

// adjust sets the percentage for what is alive now, and reports whether the floor
// still stands. Setting it stops the world for a moment, so small changes are let
// be.
func (f *floor) adjust() bool {
	want := percent(f.bytes, read())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	if diff := want - f.percent; want != f.percent && (want == usual || diff*diff > f.percent*f.percent/25) {
		debug.SetGCPercent(want)
		f.percent = want
	}
	return true
}

func (f *floor) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.percent != usual {
		debug.SetGCPercent(usual)
	}
}

// found is what the last collection has met, in bytes.
type found struct{ alive, roots uint64 }

// least is the heap under which the runtime never collects at its usual setting;
// it grows with the percentage.
const least = 4 << 20

// percent is by how much of both the heap may grow, which is how the runtime
// counts.
func percent(floor uint64, f found) int {
	if f.alive >= floor/2 {
		return usual
	}
	most := min(floor*usual/least, math.MaxInt32)
	return int(max(min((floor-f.alive)*100/max(f.alive+f.roots, 1), most), usual)) //nolint:gosec // it has a bound
}

func read() found {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	v := func(i int) uint64 { return samples[i].Value.Uint64() }
	return found{alive: v(0), roots: v(1) + v(2)}
}
