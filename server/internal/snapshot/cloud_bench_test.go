package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

// fill stores n endpoints with a hundred policies.
func (w *standingWorld) fill(n int) {
	w.Helper()
	for at := 0; at < n; {
		var batch []store.Record
		for ; at < n && len(batch) < 5000; at++ {
			batch = append(batch, record(w, id.NewSorted("ep"), fmt.Sprintf("tenant-%06d.example.com", at), says(fmt.Sprint(at%100)), false))
		}
		w.put(batch...)
	}
}

// BenchmarkStandingLoad reads 100 000 stored endpoints into the table and their places; B/endpoint is the memory
// that they take there.
func BenchmarkStandingLoad(b *testing.B) {
	const n = 100_000
	w := newStandingWorld(b)
	w.fill(n)
	for b.Loop() {
		w.begin()
		before := heapInUse()
		start := time.Now()
		w.load()
		b.ReportMetric(time.Since(start).Seconds(), "s/load")
		b.ReportMetric(float64(heapInUse()-before)/n, "B/endpoint")
		if w.router.Table().Len() != n || len(w.cloud.programs) != 100 {
			b.Fatalf("%d endpoints, %d programs", w.router.Table().Len(), len(w.cloud.programs))
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkStanding makes, changes and lists endpoints through the rules of the API, beside none and 100 000
// others. A write is over when traffic follows it.
func BenchmarkStanding(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		w := newStandingWorld(b)
		w.fill(n)
		w.begin()
		w.load()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.follower.Run(ctx) })
		shared := &control.Shared{Store: w.db, Now: time.Now, Settle: w.follower.Wait}
		endpoints := control.NewEndpoints(shared, w.binder, w.cloud.publisher)
		caller := &control.Caller{Account: "ac_1", Principal: "usr_1", Write: true, Origin: "https://api.test"}
		var last string
		b.Run(fmt.Sprintf("create/of=%d", n), func(b *testing.B) {
			median(b, func(i int) {
				body := fmt.Sprintf(`{"url":"https://new-%s-%d.example.com","traffic_policy":%s}`, id.New("x")[2:10], i, quoted(b, says(fmt.Sprint(i))))
				made, err := endpoints.Create(b.Context(), caller, []byte(body))
				if err != nil {
					b.Fatal(err)
				}
				e := made.(*api.Endpoint)
				if last = e.ID; w.at(e.Host) == nil {
					b.Fatalf("%s is answered and not in the table", e.URL)
				}
			})
		})
		b.Run(fmt.Sprintf("update/of=%d", n), func(b *testing.B) {
			median(b, func(i int) {
				if _, err := endpoints.Update(b.Context(), caller, last, fmt.Appendf(nil, `{"traffic_policy":%s}`, quoted(b, says(fmt.Sprint("new", i))))); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(fmt.Sprintf("list/of=%d", n), func(b *testing.B) {
			median(b, func(int) {
				if _, _, err := endpoints.List(b.Context(), caller, control.Page{Limit: 100}); err != nil {
					b.Fatal(err)
				}
			})
		})
		cancel()
		wg.Wait()
	}
}

// median reports the median time of a step.
func median(b *testing.B, step func(i int)) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		step(len(took))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
}

func quoted(b *testing.B, text string) string {
	b.Helper()
	raw, err := json.Marshal(text)
	if err != nil {
		b.Fatal(err)
	}
	return string(raw)
}
