package node

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryEvery is how often the server looks at its memory.
	memoryEvery = 15 * time.Second
	// memoryPause is the least time between two returns of memory, each of which
	// costs two collections.
	memoryPause = 5 * time.Minute
	// memoryWorth is how many bytes have to be there to be given back, beside a
	// quarter of what is in use.
	memoryWorth = 4 << 20
	// memoryCalm is how many bytes may have been allocated since the last look, or
	// an eighth of what is in use if that is more, for the server to be calm.
	memoryCalm = 8 << 20
)

// keepSmall gives memory back to the system when the server has become calm,
// until ctx ends. A burst, as of agents that all come back after a restart,
// leaves a heap that the collector lets grow to twice of what is in use before
// it looks at it again; where little happens, that is not soon.
func keepSmall(ctx context.Context) error {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	last, returned := readMemory(), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			m := readMemory()
			if m.calmSince(last) && m.worth() && now.Sub(returned) >= memoryPause {
				runtime.GC() // pools let go at the second one
				debug.FreeOSMemory()
				returned, m = now, readMemory()
			}
			last = m
		}
	}
}

// memory is what the runtime tells of the heap, in bytes.
type memory struct {
	allocated uint64 // since the process began
	resident  uint64 // of the heap, used or not
	live      uint64 // found alive by the last collection
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	v := func(i int) uint64 { return samples[i].Value.Uint64() }
	return memory{allocated: v(0), live: v(1), resident: v(2) + v(3) + v(4)}
}

// calmSince reports whether next to nothing has happened since before.
func (m memory) calmSince(before memory) bool {
	return m.allocated-before.allocated <= max(memoryCalm, m.live/8)
}

// worth reports whether enough of the heap might be given back.
func (m memory) worth() bool { return m.resident > m.live+m.live/4+memoryWorth }
