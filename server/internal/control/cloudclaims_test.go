package control_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// TestAPI32_TwoOnOneURL goes through the combinations of endpoints.md 9.1, one after the other, at the same
// moment, and with an agent as either of both.
func TestAPI32_TwoOnOneURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		first, second bool
		code, agent   fault.Code // for the second one: stored, or an agent's
	}{
		{true, true, "", ""},
		{false, true, fault.EndpointOtherAlone, fault.URLTaken},
		{true, false, fault.EndpointAlone, fault.URLTaken},
		{false, false, fault.EndpointTaken, fault.URLTaken},
	} {
		t.Run(fmt.Sprintf("%v,%v", tt.first, tt.second), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			pooling := func(on bool) map[string]any { return map[string]any{"pooling_enabled": on} }
			judge := func(what string, err error, want fault.Code) {
				t.Helper()
				if want == "" && err != nil || want != "" && !fault.Has(err, want) {
					t.Errorf("%s: got %v, want %q", what, err, want)
				}
				if err != nil && strings.Contains(strings.ToLower(fault.From(err).Message+fault.From(err).Remedy), "policy") {
					t.Errorf("%s: the text is about a policy: %s", what, err)
				}
			}
			for _, url := range []string{"https://a.example.com", "https://a.internal", "tcp://example.com:20001"} {
				c.must(c.create(url, pooling(tt.first)))
				_, err := c.create(url, pooling(tt.second))
				judge(url, err, tt.code)
				w := bind(url[:strings.Index(url, ":")], url)
				w.Extra.PoolingEnabled = tt.second
				_, err = c.binder.Reserve(t.Context(), agent("a"), w)
				judge(url+" for an agent", err, tt.agent)
			}
			// An agent was there first.
			w := bind("https", "https://b.example.com")
			w.Extra.PoolingEnabled = tt.first
			reserve(t, c.binder, agent("b"), w)
			_, err := c.create("https://b.example.com", pooling(tt.second))
			judge("behind an agent", err, tt.code)
			for i := range 20 {
				c.together(t, fmt.Sprintf("https://c%d.example.com", i), tt.first, tt.second)
			}
		})
	}
}

// together makes two endpoints at the same moment, and an agent's besides. What is there then may share.
func (c *cloud) together(t *testing.T, url string, first, second bool) {
	t.Helper()
	var wg sync.WaitGroup
	var errs [3]error
	for i, pooled := range []bool{first, second} {
		wg.Go(func() { _, errs[i] = c.create(url, map[string]any{"pooling_enabled": pooled}) })
	}
	wg.Go(func() {
		w := bind("https", url)
		w.Extra.PoolingEnabled = first
		_, errs[2] = c.binder.Reserve(t.Context(), agent("c"), w)
	})
	wg.Wait()
	there := []bool{first, second, first}
	n, pooled := 0, 0
	for i, err := range errs {
		switch {
		case err == nil:
			if n++; there[i] {
				pooled++
			}
		case !fault.Has(err, fault.EndpointTaken) && !fault.Has(err, fault.EndpointOtherAlone) && !fault.Has(err, fault.EndpointAlone) && !fault.Has(err, fault.URLTaken):
			t.Errorf("%s: %v", url, err)
		}
	}
	switch {
	case n == 0, n > 1 && pooled != n:
		t.Errorf("%s: %d are there and %d share (%v)", url, n, pooled, errs)
	case first && second && n != 3:
		t.Errorf("%s: %d of three that share are there (%v)", url, n, errs)
	}
}

// TestAPI31_AnotherURLInPlace keeps the id, gives the old place up and refuses what is taken.
func TestAPI31_AnotherURLInPlace(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("tcp://example.com:20001", nil))
	c.must(c.create("tcp://example.com:20002", nil))
	_, err := c.update(a.ID, `{"url":"tcp://example.com:20002","description":"x"}`)
	wantCode(t, err, fault.EndpointTaken)
	_, err = c.update(a.ID, `{"url":"tcp://example.com:20009"}`) // another program's
	wantCode(t, err, fault.TCPPortBusy)
	if status := fault.From(err).Status; status != 503 { // it passes by itself
		t.Errorf("a port that another program has: got %d, want 503", status)
	}
	if got := fmt.Sprint(c.ports.Opened(t)); got != "[20001 20002]" {
		t.Errorf("open ports %s", got)
	}
	b := c.must(c.update(a.ID, `{"url":"tcp://example.com:20003"}`))
	if b.ID != a.ID || b.URL != "tcp://example.com:20003" || b.Description != "" || b.Port != 20003 {
		t.Errorf("got %+v", b)
	}
	if got := fmt.Sprint(c.ports.Opened(t)); got != "[20002 20003]" {
		t.Errorf("open ports %s", got)
	}
	reserve(t, c.binder, agent("a"), bind("tcp", "tcp://example.com:20001")) // it is free
	c.remove(a.ID)
	if got := fmt.Sprint(c.ports.Opened(t)); got != "[20001 20002]" {
		t.Errorf("open ports %s", got)
	}
}

// Pooling is changed in place, against the same rules.
func TestPoolingChangedInPlace(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("https://a.example.com", pool))
	b := c.must(c.create("https://a.example.com", pool))
	_, err := c.update(a.ID, `{"pooling_enabled":false}`)
	wantCode(t, err, fault.EndpointAlone)
	member := reserve(t, c.binder, agent("a"), pooled(bind("https", "https://a.example.com"))) // it still shares
	c.remove(b.ID)
	release(c.binder, agent("a"), member, true)
	c.must(c.update(a.ID, `{"pooling_enabled":false}`))
	refused(t, c.binder, agent("a"), pooled(bind("https", "https://a.example.com")), fault.URLTaken)
	c.must(c.update(a.ID, `{"pooling_enabled":true}`))
	reserve(t, c.binder, agent("a"), pooled(bind("https", "https://a.example.com")))
}

// Many updates of one endpoint at once end with the places of the last one, and no other.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("tcp://example.com:20000", nil))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 4 {
				_, err := c.update(a.ID, fmt.Sprintf(`{"url":"tcp://example.com:%d"}`, 20000+i))
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	o := owner
	got, err := c.Get(t.Context(), &o, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if port := got.(*api.Endpoint).Port; !slices.Equal(c.ports.Opened(t), []uint16{port}) {
		t.Errorf("open ports %v, want %d", c.ports.Opened(t), port)
	}
}

// A server that begins gives its stored endpoints their places before agents come.
func TestStoredEndpointsHaveTheirPlacesAfterARestart(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.must(c.create("https://a.example.com", nil))
	c.must(c.create("https://p.example.com", pool))
	gone := c.must(c.create("https://g.example.com", nil))
	c.must(c.create("tcp://example.com:20001", nil))
	c.remove(gone.ID)
	again := cloudOn(t, c.db)
	refused(t, again.binder, agent("a"), bind("https", "https://a.example.com"), fault.URLTaken)
	reserve(t, again.binder, agent("a"), pooled(bind("https", "https://p.example.com")))
	reserve(t, again.binder, agent("a"), bind("https", "https://g.example.com"))
	if got := again.ports.Opened(t); !slices.Equal(got, []uint16{20001}) {
		t.Errorf("open ports %v", got)
	}
}

// What cannot be stored holds no place.
func TestWhatIsNotStoredHoldsNothing(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("tcp://example.com:20001", pool))
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.create("tcp://example.com:20002", nil); err == nil {
		t.Error("an endpoint was stored in a database that is closed")
	}
	if _, err := c.update(a.ID, `{"url":"tcp://example.com:20003"}`); err == nil {
		t.Error("an endpoint was changed in a database that is closed")
	}
	reserve(t, c.binder, agent("a"), bind("tcp", "tcp://example.com:20002"))
	reserve(t, c.binder, agent("a"), bind("tcp", "tcp://example.com:20003"))
	if got := c.ports.Opened(t); !slices.Equal(got, []uint16{20001, 20002, 20003}) {
		t.Errorf("open ports %v", got)
	}
}

// A name is free for other accounts once nobody has any part of it, be it an agent's, held for one, or stored.
func TestANameIsOneAccounts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := agentOf("other", "a")
	stored := c.must(c.create("https://s.example.com", nil))
	refused(t, c.binder, a, bind("http", "http://s.example.com"), fault.URLTaken)
	c.remove(stored.ID)
	reserve(t, c.binder, a, bind("http", "http://s.example.com"))
	_, err := c.create("https://s.example.com", nil)
	wantCode(t, err, fault.EndpointTaken)

	first := reserve(t, c.binder, a, bind("http", "http://h.example.com"))
	release(c.binder, a, first, false)
	_, err = c.create("https://h.example.com:8443", nil)
	wantCode(t, err, fault.EndpointTaken)
	release(c.binder, a, reserve(t, c.binder, a, bind("http", "http://h.example.com")), true)
	c.must(c.create("https://h.example.com:8443", nil))
}
