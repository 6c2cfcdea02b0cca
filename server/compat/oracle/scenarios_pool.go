package oracle

import (
	"fmt"
	"testing"
)

// poolScenarios are endpoints that share a URL.
func poolScenarios() []scenario {
	return []scenario{
		{name: "pool_in_one_session", run: func(t *testing.T, st *Stage) {
			s := st.Session(t)
			checkPool(t, st, s, s)
		}},
		{name: "pool_in_two_sessions", run: func(t *testing.T, st *Stage) {
			checkPool(t, st, st.Session(t), st.Session(t))
		}},
		{name: "pool_tcp", run: func(t *testing.T, st *Stage) {
			first := st.Listen(t, Endpoint{Scheme: "tcp", Pooling: true}, App{Name: "a", Kind: "tcp"})
			second := st.Listen(t, Endpoint{Scheme: "tcp", Pooling: true, Host: first.URL()[len("tcp://"):]}, App{Name: "b", Kind: "tcp"})
			if first.URL() != second.URL() {
				t.Fatalf("URLs %q and %q", first.URL(), second.URL())
			}
			seen := map[string]int{}
			for range 20 {
				conn := Dial(t, first.URL())
				seen[Talk(t, conn)]++
				conn.Close()
			}
			if seen["a"] < 5 || seen["b"] < 5 {
				t.Errorf("20 connections went to %v", seen)
			}
		}},
		{name: "pool_refused_without_consent", run: func(t *testing.T, st *Stage) {
			e := Endpoint{Scheme: "https", Host: st.Host(), Pooling: true}
			st.Listen(t, e, App{Name: "a", Kind: "http"})
			e.Pooling = false
			_, err := st.Session(t).Listen(t.Context(), e, App{Name: "b", Kind: "http"})
			st.WantCode(t, err, "ERR_NGROK_334")
		}},
	}
}

// checkPool spreads requests over two members and then takes one of them away.
func checkPool(t *testing.T, st *Stage, s1, s2 Session) {
	t.Helper()
	e := Endpoint{Scheme: "https", Host: st.Host(), Pooling: true}
	a := MustListen(t, s1, e, App{Name: "a", Kind: "http"})
	b := MustListen(t, s2, e, App{Name: "b", Kind: "http"})
	if a.URL() != b.URL() {
		t.Fatalf("URLs %q and %q", a.URL(), b.URL())
	}
	client := st.Client(t)
	count := func(n int) map[string]int {
		seen := map[string]int{}
		for range n {
			seen[Get(t, client, a.URL()+"/").Name]++
		}
		return seen
	}
	if seen := count(20); seen["a"] < 5 || seen["b"] < 5 {
		t.Errorf("20 requests went to %v, want both members", seen)
	}
	if err := a.Close(); err != nil {
		t.Fatalf("close the first: %v", err)
	}
	if seen := count(10); seen["b"] != 10 {
		t.Errorf("after the first has gone, 10 requests went to %v", seen)
	}
	if err := b.Close(); err != nil {
		t.Fatalf("close the second: %v", err)
	}
	Until(t, "offline after both have gone", func() error {
		_, err := get(t.Context(), client, a.URL()+"/")
		if err == nil {
			return fmt.Errorf("answered")
		}
		return WantStatus(err, 404, "ERR_NGROK_3200")
	})
}
