package meter_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/meter"
)

func endpoint(id, account string) meter.Endpoint {
	return meter.Endpoint{ID: id, Account: account, URL: "https://" + id + ".example.com"}
}

// collected adds up what a collection gives out, by endpoint.
func collected(m *meter.Meters) map[string]meter.Counts {
	all := map[string]meter.Counts{}
	m.Collect(func(e meter.Endpoint, since meter.Counts) { all[e.ID] = since })
	return all
}

func TestCollectGivesEachCountOnce(t *testing.T) {
	t.Parallel()
	m := meter.New()
	c := m.Counter(endpoint("ep_a", "ac"))
	for range 3 {
		if err := c.Request(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Connection(); err != nil {
		t.Fatal(err)
	}
	c.Sent(10)
	c.Out().Add(5)
	if got, want := collected(m)["ep_a"], (meter.Counts{Requests: 3, Connections: 1, Out: 15}); got != want {
		t.Errorf("collected %+v, want %+v", got, want)
	}
	c.Sent(1)
	if got, want := collected(m)["ep_a"], (meter.Counts{Out: 1}); got != want {
		t.Errorf("collected %+v the second time, want %+v", got, want)
	}
	if got := collected(m); len(got) != 0 {
		t.Errorf("collected %v after nothing was done", got)
	}
	if again := m.Counter(endpoint("ep_a", "ac")); again != c {
		t.Error("an endpoint has two counters at a time")
	}
	runtime.KeepAlive(c)
}

// A counter that nobody holds goes, and nothing of what it has counted is lost.
func TestCountersGoWithTheirHolders(t *testing.T) {
	t.Parallel()
	m := meter.New()
	const n = 1000
	for i := range n {
		m.Counter(endpoint("ep_"+string(rune('a'+i%26))+time.Duration(i).String(), "ac")).Sent(1)
	}
	var sum int64
	for round := 0; meter.Entries(m) > 0; round++ {
		if round == 10 {
			t.Fatalf("%d counters are left without a holder", meter.Entries(m))
		}
		runtime.GC()
		m.Collect(func(_ meter.Endpoint, since meter.Counts) { sum += since.Out })
	}
	if sum != n {
		t.Errorf("collected %d bytes, want %d", sum, n)
	}
}

func TestNoCounter(t *testing.T) {
	t.Parallel()
	var c *meter.Counter
	c.Sent(1)
	if err := errors.Join(c.Request(), c.Connection(), c.Visitor()); err != nil || c.Out() != nil || !c.Same(nil) {
		t.Errorf("no counter refuses with %v, or has somewhere to count", err)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := meter.New()
	for name, account := range map[string]string{"without limits": "ac_free", "with limits": "ac_limited"} {
		limits := meter.NoLimits()
		if account == "ac_limited" {
			limits.RequestsPerMonth, limits.RequestsPerMinute = 1<<30, 1<<30
			m.SetLimits(account, limits, meter.Counts{}, time.Now())
		}
		c := m.Counter(endpoint("ep_"+account, account))
		got := testing.AllocsPerRun(1000, func() {
			if err := c.Request(); err != nil {
				t.Fatal(err)
			}
			c.Sent(100)
		})
		if got != 0 {
			t.Errorf("%s: a request costs %v allocations", name, got)
		}
	}
}

func TestConcurrentCounts(t *testing.T) {
	t.Parallel()
	m := meter.New()
	const workers, each = 8, 1000
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				c := m.Counter(endpoint("ep_a", "ac"))
				_ = c.Request() // there is no limit
				c.Sent(2)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var sum meter.Counts
	add := func(_ meter.Endpoint, since meter.Counts) { sum.Add(since) }
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			m.Collect(add)
		}
	}
	m.Collect(add)
	if want := (meter.Counts{Requests: workers * each, Out: 2 * workers * each}); sum != want {
		t.Errorf("collected %+v, want %+v", sum, want)
	}
}

// refusal is the code of a refusal, "" for none, and how long it lasts.
func refusal(t *testing.T, err error) (fault.Code, time.Duration) {
	t.Helper()
	if err == nil {
		return "", 0
	}
	r, ok := errors.AsType[*meter.Refusal](err)
	if !ok {
		t.Fatalf("refused with %T %v", err, err)
	}
	return r.Fault.Code, r.Wait
}

func TestLimitsOfAMonth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := meter.New()
		limits := meter.NoLimits()
		limits.RequestsPerMonth, limits.ConnectionsPerMonth, limits.OutPerMonth = 3, 1, 100
		now := time.Now()
		m.SetLimits("ac", limits, meter.Counts{Requests: 1}, now)
		c, other := m.Counter(endpoint("ep_a", "ac")), m.Counter(endpoint("ep_b", "ac_other"))
		for i, want := range []fault.Code{"", "", fault.RequestsQuota, fault.RequestsQuota} {
			if got, _ := refusal(t, c.Request()); got != want {
				t.Errorf("request %d of the account: %q, want %q", i, got, want)
			}
			if err := other.Request(); err != nil {
				t.Errorf("request %d of another account: %v", i, err)
			}
		}
		for i, want := range []fault.Code{"", fault.ConnectionsQuota} {
			if got, _ := refusal(t, c.Connection()); got != want {
				t.Errorf("connection %d: %q, want %q", i, got, want)
			}
		}
		end := meter.Month(now).AddDate(0, 1, 0)
		if _, wait := refusal(t, c.Request()); wait != end.Sub(now) {
			t.Errorf("the refusal lasts %v, want %v: until the end of the month", wait, end.Sub(now))
		}
		time.Sleep(time.Until(end))
		m.Used("ac", 0, time.Now())
		if err := errors.Join(c.Request(), c.Connection()); err != nil {
			t.Errorf("in the next month: %v", err)
		}
		m.Used("ac", 100, time.Now())
		for what, err := range map[string]error{"request": c.Request(), "connection": c.Connection()} {
			if got, _ := refusal(t, err); got != fault.DataOutQuota {
				t.Errorf("%s after all data was sent: %q, want %q", what, got, fault.DataOutQuota)
			}
		}
		m.SetLimits("ac", meter.NoLimits(), meter.Counts{}, time.Now())
		if err := c.Request(); err != nil {
			t.Errorf("after the limits were lifted: %v", err)
		}
	})
}

func TestRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := meter.New()
		limits := meter.NoLimits()
		limits.RequestsPerMinute, limits.ConnectionsPerMinute = 2, 3
		m.SetLimits("ac", limits, meter.Counts{}, time.Now())
		a, b := m.Counter(endpoint("ep_a", "ac")), m.Counter(endpoint("ep_b", "ac"))
		if err := errors.Join(a.Request(), b.Request(), a.Visitor(), b.Connection(), a.Connection()); err != nil {
			t.Fatalf("within the limits: %v", err)
		}
		code, wait := refusal(t, a.Request())
		if code != fault.RequestRateQuota || wait <= 0 || wait > time.Minute {
			t.Errorf("a third request: %q for %v, want %q", code, wait, fault.RequestRateQuota)
		}
		for what, err := range map[string]error{"visitor": b.Visitor(), "connection": b.Connection()} {
			if got, _ := refusal(t, err); got != fault.ConnectionRateQuota {
				t.Errorf("a fourth connection, %s: %q, want %q", what, got, fault.ConnectionRateQuota)
			}
		}
		time.Sleep(wait)
		if err := b.Request(); err != nil {
			t.Errorf("after the time that the refusal told: %v", err)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	c := meter.New().Counter(endpoint("ep_a", "ac"))
	for b.Loop() {
		_ = c.Request() // there is no limit
		c.Sent(100)
	}
}
