package heap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		floor, alive, roots uint64
		want                int
	}{
		{64 << 20, 4 << 20, 0, 1500},
		{64 << 20, 4 << 20, 1 << 20, 1200},
		{64 << 20, 16 << 20, 0, 300},
		{64 << 20, 31 << 20, 31 << 20, 100},
		{64 << 20, 32 << 20, 0, 100},
		{64 << 20, 1 << 40, 0, 100},
		{64 << 20, 0, 0, 1600}, // the least heap grows with it
		{64 << 20, 1 << 20, 1 << 20, 1600},
		{0, 0, 0, 100},
	} {
		if got := percent(tt.floor, found{tt.alive, tt.roots}); got != tt.want {
			t.Errorf("percent(%d, {%d, %d}): got %d, want %d", tt.floor, tt.alive, tt.roots, got, tt.want)
		}
	}
}

// A program with a floor collects seldom while little is alive, as ever once much
// is, and as ever after the end.
func TestFloor(t *testing.T) { //nolint:paralleltest // it is about the whole process
	collect := func() { runtime.GC(); runtime.GC() }
	collect()
	end := Floor(64 << 20)
	if got := inForce(); got <= usual {
		t.Errorf("with little alive: got %d percent, want more than %d", got, usual)
	}
	before := collections()
	for range 40 {
		garbage = make([]byte, 1<<20)
	}
	if n := collections() - before; n > 1 {
		t.Errorf("40 MiB of garbage: %d collections, want 1 at most", n)
	}
	much := make([]byte, 80<<20)
	collect()
	await(t, "a heap of which much is alive is collected as ever", func() bool { return inForce() == usual })
	runtime.KeepAlive(much) // until here
	collect()
	await(t, "a heap of which little is alive has a floor again", func() bool { return inForce() > usual })
	end()
	if got := inForce(); got != usual {
		t.Errorf("after the end: got %d percent, want %d", got, usual)
	}
}

func TestFloor_SettingOfTheEnvironmentStands(t *testing.T) { //nolint:paralleltest // it is about the whole process
	const set = 70 // as by GOGC
	defer debug.SetGCPercent(debug.SetGCPercent(set))
	end := Floor(1 << 30)
	if got := inForce(); got != set {
		t.Errorf("got %d percent, want %d", got, set)
	}
	end()
	if got := inForce(); got != set {
		t.Errorf("after the end: got %d percent, want %d", got, set)
	}
}

var garbage []byte

func inForce() int {
	p := debug.SetGCPercent(usual)
	debug.SetGCPercent(p)
	return p
}

func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// await waits for the runtime, which runs clean-ups on a goroutine of its own.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
