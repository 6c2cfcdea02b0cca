package node_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// relay carries connections to a database until it is cut.
type relay struct {
	ln net.Listener
	to string
	wg sync.WaitGroup

	mu    sync.Mutex
	cut   bool // guarded by mu, as is conns
	conns []net.Conn
}

// relayed returns the URL of a database by a relay, which is cut at first if
// away says so.
func relayed(t *testing.T, away bool) (*relay, string) {
	t.Helper()
	u, err := url.Parse(storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: u.Host, cut: away}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		ln.Close()
		r.set(true)
		r.wg.Wait()
	})
	u.Host = ln.Addr().String()
	return r, u.String()
}

func (r *relay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", r.to)
		if err != nil {
			c.Close()
			continue
		}
		r.mu.Lock()
		if r.cut {
			c.Close()
			up.Close()
		} else {
			r.conns = append(r.conns, c, up)
			r.wg.Go(func() { _, _ = io.Copy(up, c); up.Close() })
			r.wg.Go(func() { _, _ = io.Copy(c, up); c.Close() })
		}
		r.mu.Unlock()
	}
}

// set takes the database away, with all connections, or brings it back.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for _, c := range r.conns {
			c.Close()
		}
		r.conns = nil
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestF21_DatabaseGone: without its database the server carries traffic and
// answers calls of the API with 503; when the database is back all is as before.
func TestF21_DatabaseGone(t *testing.T) {
	t.Parallel()
	db, dsn := relayed(t, false)
	s := nodetest.Start(t, func(c *node.Config) { c.DatabaseURL = dsn })
	a := s.Agent()
	ln := s.ServeHTTP(a, nodetest.Text("hello"))
	api := s.API()
	api.Create("/vaults", map[string]any{"name": "before"})

	db.set(true)
	for _, call := range []struct{ method, body string }{{"POST", `{"name":"meanwhile"}`}, {"GET", ""}} {
		status, headers, answer := api.Do(call.method, "/vaults", call.body)
		if status != http.StatusServiceUnavailable || answer["error_code"] != string(fault.DatabaseUnavailable) || headers.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %v, Retry-After %q", call.method, status, answer, headers.Get("Retry-After"))
		}
	}
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("traffic: got %d %q", resp.StatusCode, body)
	}
	further := s.ServeHTTP(s.Agent(), nodetest.Text("further"))
	if resp, body := s.Get(further.URL().String()); resp.StatusCode != 200 || body != "further" {
		t.Errorf("an agent that comes meanwhile: got %d %q", resp.StatusCode, body)
	}
	eventually(t, "readyz says that the database is away", func() bool {
		resp, body := s.Get(s.Info.APIURL + "/readyz")
		return resp.StatusCode == 200 && strings.Contains(body, "the database is not available")
	})

	db.set(false)
	eventually(t, "the API answers again", func() bool {
		status, _, _ := api.Do("GET", "/vaults", "")
		return status == http.StatusOK
	})
	if got := api.List("/vaults"); len(got) != 1 || got[0]["name"] != "before" {
		t.Errorf("afterwards the vaults are %v", got)
	}
	// What was written last is in force: the follower has caught up.
	key := api.Must(http.StatusCreated, "POST", "/api_keys", `{}`)["token"].(string)
	s.API(key).Must(http.StatusOK, "GET", "/vaults", "")
	eventually(t, "readyz is content", func() bool {
		_, body := s.Get(s.Info.APIURL + "/readyz")
		return body == "ready\n"
	})
}

// TestF23_StartWithoutDatabase: the server waits, and says why it is not ready.
func TestF23_StartWithoutDatabase(t *testing.T) {
	t.Parallel()
	db, dsn := relayed(t, true)
	var log buffer
	s := nodetest.Begin(t, func(c *node.Config) { c.DatabaseURL, c.Logger = dsn, textLogger(&log) })
	eventually(t, "readyz says why", func() bool {
		resp, body := s.Get("http://127.0.0.1:9400/readyz")
		return resp.StatusCode == http.StatusServiceUnavailable && body == "not ready: the database cannot be reached\n"
	})
	if resp, body := s.Get("http://127.0.0.1:9400/healthz"); resp.StatusCode != 200 {
		t.Errorf("healthz: got %d %s", resp.StatusCode, body)
	}
	status, headers, answer := s.API().Do("GET", "http://127.0.0.1:9400/vaults", "")
	if status != http.StatusServiceUnavailable || answer["error_code"] != string(fault.DatabaseUnavailable) || headers.Get("Retry-After") == "" {
		t.Errorf("the API: got %d %v", status, answer)
	}
	if !strings.Contains(log.String(), "the server waits for it") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
	db.set(false)
	s.AwaitReady()
	ln := s.ServeHTTP(s.Agent(culvert.WithAuthtoken(nodetest.Token)), nodetest.Text("hello"))
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	s.API().Must(http.StatusOK, "GET", "/vaults", "")
}

// TestF23_StopWhileWaiting: a server that waits for its database can be stopped.
func TestF23_StopWhileWaiting(t *testing.T) {
	t.Parallel()
	_, dsn := relayed(t, true)
	s := nodetest.Begin(t, func(c *node.Config) { c.DatabaseURL = dsn })
	eventually(t, "it waits", func() bool {
		_, body := s.Get("http://127.0.0.1:9400/readyz")
		return strings.Contains(body, "the database cannot be reached")
	})
	s.Shutdown()
	s.Wait()
}

// TestUnusableDatabaseEndsTheStart: what waiting does not mend is told at once.
func TestUnusableDatabaseEndsTheStart(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(u *url.URL){
		"no such database": func(u *url.URL) { u.Path += "_not" },
		"no such user":     func(u *url.URL) { u.User = url.UserPassword("nobody_at_all", "canary_password") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(storetest.Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			edit(u)
			n, err := node.New(node.Config{DataDir: t.TempDir(), DatabaseURL: u.String(), Listen: memnetListen(memnet.New())})
			if err != nil {
				t.Fatal(err)
			}
			err = n.Run(t.Context())
			if !fault.Has(err, fault.DatabaseUnusable) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %s without the password", err, fault.DatabaseUnusable)
			}
		})
	}
}
