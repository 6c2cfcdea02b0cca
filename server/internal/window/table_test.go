package window_test

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/server/internal/window"
)

func key(i int) window.Key { return window.KeyOf(binary.AppendUvarint(nil, uint64(i))) }

func TestWindowSlides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := window.New(time.Minute, 0)
		take := func(k int, want bool, wait time.Duration) {
			t.Helper()
			if ok, d := w.Take(key(k), 3); ok != want || d != wait {
				t.Errorf("at %s: got %v, %s, want %v, %s", time.Now().Format("04:05"), ok, d, want, wait)
			}
		}
		take(1, true, 0)
		time.Sleep(15 * time.Second)
		take(1, true, 0)
		take(1, true, 0)
		take(1, false, 45*time.Second)
		take(2, true, 0)
		time.Sleep(45*time.Second - 1)
		take(1, false, 1)
		time.Sleep(time.Nanosecond)
		take(1, true, 0)
		take(1, false, 10*time.Second)
		if ok, _ := w.Look(key(1), 4); !ok {
			t.Error("a higher capacity does not free anything")
		}
		if ok, wait := w.Look(key(1), 1); ok || wait != 60*time.Second {
			t.Errorf("a lower capacity: got %v, %s, want a minute", ok, wait)
		}
		if w.Idle() {
			t.Error("idle with counts in it")
		}
		time.Sleep(time.Minute)
		if !w.Idle() {
			t.Error("not idle after a window")
		}
	})
}

// TestT33_KeysAreBounded rotates the key: the table stays within its bound and
// the keys in use stay counted.
func TestT33_KeysAreBounded(t *testing.T) {
	t.Parallel()
	w := window.New(time.Minute, 1000)
	w.Take(key(-1), 1)
	for i := range 20_000 {
		w.Take(key(i), 1)
		if i%100 == 0 {
			if ok, _ := w.Take(key(-1), 1); ok {
				t.Fatalf("the key in use was forgotten after %d others", i)
			}
		}
	}
	if n := w.Len(); n > 1024 {
		t.Errorf("got %d keys, want at most 1024", n)
	}
}

// TestT33_SlotsAreBounded has every key count in every slot of a day.
func TestT33_SlotsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := window.New(24*time.Hour, 32) // one key a shard
		for range 8640 {
			w.Take(key(1), 1<<31)
			time.Sleep(window.Slot)
		}
		if ok, _ := w.Look(key(1), 8639); ok {
			t.Error("a key that is alone lost counts")
		}
		dead := window.New(time.Minute, 0)
		for i := range 1000 {
			dead.Take(key(i), 1)
		}
		time.Sleep(time.Hour)
		for i := range 1000 {
			dead.Take(key(5000+i), 1)
		}
		if n := dead.Len(); n > 1100 {
			t.Errorf("got %d keys, want the 1000 that live and few others", n)
		}
	})
}

func TestConcurrentTakesAreExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock stands
		w := window.New(time.Minute, 0)
		var admitted atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					if ok, _ := w.Take(key(1), 3000); ok {
						admitted.Add(1)
					}
				}
			})
		}
		all.Wait()
		if got := admitted.Load(); got != 3000 {
			t.Errorf("admitted %d, want 3000", got)
		}
	})
}

func TestKeysDoNotCollide(t *testing.T) {
	t.Parallel()
	join := func(parts ...string) window.Key {
		var text []byte
		for _, p := range parts {
			text = window.Join(text, p)
		}
		return window.KeyOf(text)
	}
	if join("a|b", "c") == join("a", "b|c") || join("ab", "") == join("a", "b") || join("") == join("", "") {
		t.Error("different keys collide")
	}
	if again := join("a", "b"); again != join("a", "b") {
		t.Error("equal keys differ")
	}
}

// BenchmarkTake decides among a million live keys.
func BenchmarkTake(b *testing.B) {
	const live = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := window.New(time.Minute, 2*live)
	keys := make([]window.Key, 1<<16)
	for i := range live {
		k := key(i)
		w.Take(k, 1<<31)
		if i%(live/len(keys)) == 0 && i/(live/len(keys)) < len(keys) {
			keys[i/(live/len(keys))] = k
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportAllocs()
	start := cpuTime(b)
	for i := 0; b.Loop(); i++ {
		w.Take(keys[i*7919%len(keys)], 1<<31)
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op") // of use on a machine that is shared
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/live, "B/key")
}

// cpuTime is what the process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
