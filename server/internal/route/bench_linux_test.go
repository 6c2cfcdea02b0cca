package route_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

// asked returns many names in the order in which a benchmark asks for them.
// They lie behind each other in memory, as if they had just been read from a
// request: the lookup is measured, not the way to the question.
func asked(name func() string) []string {
	const n = 1 << 20
	var all strings.Builder
	ends := make([]int, n)
	for i := range ends {
		all.WriteString(name())
		ends[i] = all.Len()
	}
	names, from := make([]string, n), 0
	for i, end := range ends {
		names[i], from = all.String()[from:end], end
	}
	return names
}

// cpu returns the processor time that the calling thread has used. On a
// machine with other work the time on the clock says little.
func cpu() time.Duration {
	const thread = 1
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// onCPU reports the processor time of each call of f.
func onCPU(b *testing.B, f func(i int) bool) {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	start, i := cpu(), 0
	for ; b.Loop(); i++ {
		if !f(i) {
			b.Fatal("wrong answer")
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(i), "cpu-ns/op")
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000, 1_000_000} {
		tab := filled(n)
		rnd := rand.New(rand.NewPCG(1, 2))
		// The most popular of a million names gets one request in eleven.
		zipf := rand.NewZipf(rnd, 1.1, 1, uint64(n-1))
		sets := []struct {
			name string
			host func() string
		}{
			{"exact", func() string { return fmt.Sprintf("%012x.culvert.example", rnd.IntN(n)) }},
			{"zipf", func() string { return fmt.Sprintf("%012x.culvert.example", zipf.Uint64()) }},
			{"wildcard", func() string { return fmt.Sprintf("a%d.w%d.culvert.example", rnd.IntN(n), rnd.IntN(n/100)) }},
		}
		for _, set := range sets {
			hosts := asked(set.host)
			b.Run(fmt.Sprintf("%s/%d", set.name, n), func(b *testing.B) {
				onCPU(b, func(i int) bool {
					return tab.Lookup(endpoint.Public, endpoint.HTTPS, hosts[i&(len(hosts)-1)], 443) != nil
				})
			})
		}
		b.Run(fmt.Sprintf("miss/%d", n), func(b *testing.B) {
			onCPU(b, func(int) bool {
				return tab.Lookup(endpoint.Public, endpoint.HTTPS, "a.b.c.example.org", 443) == nil
			})
		})
	}
}

func BenchmarkBind(b *testing.B) {
	tab := filled(100_000)
	e := &route.Endpoint{Key: endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: "new.culvert.example", Port: 443}}}
	onCPU(b, func(int) bool { return tab.With(e).Without(e).Len() == tab.Len() })
}

// BenchmarkBindStorm is ten thousand binds that come at once, while a hundred
// thousand endpoints are online.
func BenchmarkBindStorm(b *testing.B) {
	tab := filled(100_000)
	storm := make([]*route.Endpoint, 10_000)
	for i := range storm {
		u := endpoint.URL{Scheme: endpoint.HTTPS, Host: fmt.Sprintf("storm%d.culvert.example", i), Port: 443}
		storm[i] = &route.Endpoint{Key: endpoint.Key{Binding: endpoint.Public, URL: u}}
	}
	onCPU(b, func(int) bool {
		t := tab
		for _, e := range storm {
			t = t.With(e)
		}
		return t.Len() == tab.Len()+len(storm)
	})
}

// BenchmarkMemory is what one access costs that the caches do not serve: each
// address is known only when the one before has been read. A million slots of
// the table take 128 MiB. It is the floor of a lookup among as many names.
func BenchmarkMemory(b *testing.B) {
	for _, mb := range []int{1, 16, 128} {
		type line [8]uint64
		lines := make([]line, mb<<20/64)
		order := rand.New(rand.NewPCG(1, 2)).Perm(len(lines))
		for i, at := range order {
			lines[at][0] = uint64(order[(i+1)%len(order)])
		}
		b.Run(fmt.Sprintf("%dMiB", mb), func(b *testing.B) {
			at := uint64(0)
			onCPU(b, func(int) bool {
				at = lines[at][0]
				return true
			})
		})
	}
}
