package oracle

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"
)

// lifeScenarios are sessions and endpoints that end, and servers that come back.
func lifeScenarios() []scenario {
	return []scenario{
		{name: "close_endpoint", run: func(t *testing.T, st *Stage) {
			s := st.Session(t)
			gone := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host("gone")}, App{Name: "gone", Kind: "http"})
			stays := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host("stays")}, App{Name: "stays", Kind: "http"})
			client := st.Client(t)
			Get(t, client, gone.URL()+"/")
			if err := gone.Close(); err != nil {
				t.Fatal(err)
			}
			WantOffline(t, st.Server, gone.URL())
			if seen := Get(t, client, stays.URL()+"/"); seen.Name != "stays" {
				t.Errorf("the other endpoint: answered by %q", seen.Name)
			}
		}},
		{name: "close_session", alone: true, run: func(t *testing.T, st *Stage) {
			s := st.Session(t)
			o := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "app", Kind: "http"})
			Get(t, st.Client(t), o.URL()+"/")
			if err := s.Close(); err != nil {
				t.Logf("close: %v", err)
			}
			WantOffline(t, st.Server, o.URL())
		}},
		{name: "server_restarts", alone: true, run: func(t *testing.T, st *Stage) {
			comeBack(t, st, func() { st.Stop(t) })
		}},
		{name: "server_is_killed", alone: true, run: func(t *testing.T, st *Stage) {
			comeBack(t, st, func() { st.Kill(t) })
		}},
		{name: "server_is_killed_under_load", process: true, run: killedUnderLoad},
		{name: "server_restarts_twice", alone: true, run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "https"}, App{Name: "app", Kind: "http"})
			for range 2 {
				st.Stop(t)
				st.Again(t)
				Until(t, "back", func() error { _, err := get(t.Context(), st.Client(t), o.URL()+"/"); return err })
			}
		}},
		{name: "heartbeats", lacks: func(l Lacks) bool { return l.Heartbeats }, run: func(t *testing.T, st *Stage) {
			beats := make(chan struct{}, 64)
			s, err := st.Library.Connect(t, Settings{Addr: st.AgentAddr, CA: st.CA, Token: st.Token, Beats: beats})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			for range 3 {
				recv(t, beats, "heartbeat")
			}
			o := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "app", Kind: "http"})
			Get(t, st.Client(t), o.URL()+"/")
		}},
		{name: "command_stop", alone: true, run: func(t *testing.T, st *Stage) { command(t, st, "stop") }},
		{name: "command_restart", alone: true, run: func(t *testing.T, st *Stage) { command(t, st, "restart") }},
	}
}

// WantOffline waits until u is answered as an endpoint that is not there.
func WantOffline(t *testing.T, s *Server, u string) {
	t.Helper()
	client := s.Client(t)
	Until(t, u+" offline", func() error {
		_, err := get(t.Context(), client, u+"/")
		return WantStatus(err, 404, "ERR_NGROK_3200")
	})
}

// comeBack takes the server away, brings it back at once, and wants every kind of endpoint back on its URL.
func comeBack(t *testing.T, st *Stage, away func()) {
	t.Helper()
	pair := NewPair(t, st.Host("tls"))
	s := st.Session(t)
	chosen := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "chosen", Kind: "http"})
	random := MustListen(t, s, Endpoint{Scheme: "https"}, App{Name: "random", Kind: "http"})
	tcp := MustListen(t, s, Endpoint{Scheme: "tcp"}, App{Name: "tcp", Kind: "tcp"})
	tlsEnd := MustListen(t, s, Endpoint{Scheme: "tls", Host: st.Host("tls")}, App{Name: "tls", Kind: "tcp", TLS: pair})
	client := st.Client(t)
	Get(t, client, chosen.URL()+"/")

	start := time.Now()
	away()
	st.Again(t)
	t.Logf("the server was away for %v", time.Since(start).Round(time.Millisecond))

	// The first requests may meet the server before the agent does: they wait, and are answered.
	back := Until(t, "the chosen name", func() error {
		seen, err := get(t.Context(), st.Client(t), chosen.URL()+"/")
		if err == nil && seen.Name != "chosen" {
			return fmt.Errorf("answered by %q", seen.Name)
		}
		return err
	})
	t.Logf("the chosen name was back %v after the server, %v after it went", back.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	Until(t, "the random name", func() error {
		seen, err := get(t.Context(), st.Client(t), random.URL()+"/")
		if err == nil && seen.Name != "random" {
			return fmt.Errorf("answered by %q", seen.Name)
		}
		return err
	})
	Until(t, "the tcp port", func() error { return tryTalk(t, tcp.URL(), nil) })
	Until(t, "the tls name", func() error { return tryTalk(t, tlsEnd.URL(), &tls.Config{RootCAs: pair.Pool()}) })
}

// command has the server send a command, and wants the library to hand it to the application and answer.
func command(t *testing.T, st *Stage, verb string) {
	t.Helper()
	got := make(chan string, 1)
	s, err := st.Library.Connect(t, Settings{Addr: st.AgentAddr, CA: st.CA, Token: st.Token, Commands: got})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "app", Kind: "http"})
	if err := st.Command(t, verb); err != nil {
		t.Errorf("the server's %s: %v", verb, err)
	}
	if v := recv(t, got, "command in the application"); v != verb {
		t.Errorf("the application got %q, want %q", v, verb)
	}
}

// killedUnderLoad kills the server's process while clients ask for two endpoints without pause, starts it again, and
// tells how long no request was answered.
func killedUnderLoad(t *testing.T, st *Stage) {
	s := st.Session(t)
	chosen := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "app", Kind: "http"})
	random := MustListen(t, s, Endpoint{Scheme: "https"}, App{Name: "app", Kind: "http"})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	watched := map[string]*outage{}
	for _, u := range []string{chosen.URL(), random.URL()} {
		o := &outage{last: time.Now()}
		watched[u] = o
		for range 4 {
			client := st.Client(t)
			wg.Go(func() {
				for ctx.Err() == nil {
					_, err := get(ctx, client, u+"/")
					o.note(err)
				}
			})
		}
	}
	load := func(what string) {
		for u, o := range watched {
			already, _ := o.answered()
			want := already + 100
			Until(t, u+" answered "+what, func() error {
				if n, err := o.answered(); n < want {
					return fmt.Errorf("%d requests of %d, the last failure was %w", n, want, err)
				}
				return nil
			})
		}
	}
	load("before")
	start := time.Now()
	st.process.Kill9(t)
	st.process.Begin(t)
	t.Logf("the server was away for %v", time.Since(start).Round(time.Millisecond))
	load("after")
	stop()
	wg.Wait()
	for u, o := range watched {
		t.Logf("%s: %d answers, longest time without one %v", u, o.good, o.longest.Round(time.Millisecond))
	}
}
