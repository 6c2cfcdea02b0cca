package route_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

func TestRouterWakesWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.NewRouter()
		woken := make(chan *route.Table)
		ch := r.Changed()
		go func() {
			<-ch
			woken <- r.Table()
		}()
		r.Update(func(tab *route.Table) *route.Table { return tab })
		synctest.Wait()
		select {
		case <-ch:
			t.Fatal("woken though nothing changed")
		default:
		}
		want := r.Update(func(tab *route.Table) *route.Table { return tab.With(online(t, "https://app.example.com")) })
		if got := <-woken; got != want {
			t.Error("woken with an older table")
		}
		select {
		case <-r.Changed():
			t.Error("the channel of the next change is closed already")
		default:
		}
	})
}

func TestRouterLosesNoUpdate(t *testing.T) {
	t.Parallel()
	r := route.NewRouter()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			e := online(t, fmt.Sprintf("https://h%d.example.com", i))
			r.Update(func(tab *route.Table) *route.Table { return tab.With(e) })
		})
	}
	wg.Wait()
	if got := r.Table().Len(); got != 50 {
		t.Errorf("Len = %d, want 50", got)
	}
}

func TestExpected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.NewRouter()
		if r.Expected(endpoint.HTTPS, "app.example.com", 443) {
			t.Error("expected before anything was lost")
		}
		until := time.Now().Add(15 * time.Second)
		for _, u := range []string{"https://app.example.com", "https://*.wild.example.com", "tcp://tcp.example.com:20001"} {
			r.Expect(online(t, u).Key, until)
		}
		inner := online(t, "https://api.internal").Key
		inner.Binding = endpoint.Internal
		r.Expect(inner, until)
		check := func(when string, want bool) {
			t.Helper()
			for _, ask := range []struct {
				scheme endpoint.Scheme
				host   string
				port   uint16
				want   bool
			}{
				{endpoint.HTTPS, "app.example.com", 443, true},
				{endpoint.HTTPS, "a.b.wild.example.com", 443, true},
				{endpoint.TCP, "", 20001, true},
				{endpoint.HTTP, "app.example.com", 80, false},
				{endpoint.HTTPS, "x.app.example.com", 443, false},
				{endpoint.HTTPS, "wild.example.com", 443, false},
				{endpoint.HTTPS, "api.internal", 443, false},
				{endpoint.TCP, "", 20002, false},
			} {
				if got := r.Expected(ask.scheme, ask.host, ask.port); got != (ask.want && want) {
					t.Errorf("%s: Expected(%s, %q, %d) = %t", when, ask.scheme, ask.host, ask.port, got)
				}
			}
		}
		check("at once", true)
		time.Sleep(15*time.Second - 1)
		check("just before the end", true)
		time.Sleep(time.Nanosecond)
		check("at the end", false)
	})
}

func TestExpectedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.NewRouter()
		k := online(t, "https://app.example.com").Key
		for i := range 100_001 {
			k.URL.Host = fmt.Sprintf("h%d.example.com", i)
			r.Expect(k, time.Now().Add(15*time.Second))
		}
		if !r.Expected(endpoint.HTTPS, "h99999.example.com", 443) || r.Expected(endpoint.HTTPS, "h100000.example.com", 443) {
			t.Error("want the first 100 000 names remembered and no more")
		}
		time.Sleep(16 * time.Second)
		r.Expect(k, time.Now().Add(15*time.Second))
		if !r.Expected(endpoint.HTTPS, k.URL.Host, 443) {
			t.Error("no room though everything older has expired")
		}
	})
}

func farAway() time.Time { return time.Now().Add(time.Hour) }
