package reliability

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node"
)

// TestF09_UpstreamFails: what an upstream does to a request is seen by the
// client, and by nobody else.
func TestF09_UpstreamFails(t *testing.T) { //nolint:tparallel // its parts go by turns, and the load is judged behind them
	t.Parallel()
	w := newWorld(t, Loopback{})
	up := w.upstream("one")
	a := w.agent("")
	u := w.forward(a, up)
	dead, err := w.net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	refusing := w.forwardTo(a, "http://"+dead.Addr().String()).URL().String()
	load := w.load(u) // beside it, nothing fails

	for name, tt := range map[string]struct {
		url  string
		want Outcome
	}{
		"refuses":                      {refusing + "/", "502 ERR_NGROK_8012"},
		"resets before a reply":        {u + "/reset/head", "502 ERR_NGROK_3004"},
		"closes before a reply":        {u + "/cut/head", "502 ERR_NGROK_3004"},
		"says garbage":                 {u + "/garbage", "502 ERR_NGROK_3004"},
		"resets inside a body":         {u + "/reset/bytes", Truncated},
		"resets inside a chunked body": {u + "/reset/chunked", Truncated},
		"closes inside a body":         {u + "/cut/bytes", Truncated},
		"closes inside a chunked body": {u + "/cut/chunked", Truncated},
	} {
		for h, c := range map[string]*http.Client{"h1": w.client(false), "h2": w.client(true)} {
			t.Run(name+"/"+h, func(t *testing.T) {
				for range 5 {
					o, text := fetch(t, c, tt.url)
					if o != tt.want {
						t.Errorf("got %q, want %q", o, tt.want)
					}
					if o == "502 ERR_NGROK_8012" && !strings.Contains(text, dead.Addr().String()) {
						t.Errorf("the page does not name the address:\n%s", text)
					}
				}
			})
		}
	}
	await(t, load, 10)
	only(t, load.Stop())
	if n := w.node.Tunnels().NumSessions(); n != 1 {
		t.Errorf("got %d sessions, want 1", n)
	}
	eventually(t, "no stream is left", func() bool { return w.node.Open() == 0 })
}

// fetch gets a URL. A body that ends cleanly is [OK].
func fetch(t *testing.T, c *http.Client, u string) (Outcome, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return failure(err), ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return Truncated, string(text)
	case resp.StatusCode != http.StatusOK:
		return Answered(resp), string(text)
	}
	return OK, string(text)
}

// stuck is a dialer whose connections never come up.
type stuck struct{}

func (stuck) Dial(string, string) (net.Conn, error) { select {} }

func (stuck) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestF09_UpstreamHangs: dialling is given up after 3 s; a service that has
// taken the request may think for five minutes, the limit on idle connections.
func TestF09_UpstreamHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a := w.agent("")
		f, err := a.Forward(context.Background(), culvert.WithUpstream("http://192.0.2.1:80", culvert.WithUpstreamDialer(stuck{})))
		if err != nil {
			t.Fatal(err)
		}
		for h, c := range map[string]*http.Client{"h1": w.client(false), "h2": w.client(true)} {
			start := time.Now()
			if o, _ := fetch(t, c, f.URL().String()); o != "502 ERR_NGROK_8012" {
				t.Errorf("%s: got %q, want 502 8012", h, o)
			}
			if d := time.Since(start); d < 3*time.Second || d > 3*time.Second+50*time.Millisecond {
				t.Errorf("%s: answered after %v, want 3s", h, d)
			}
		}

		up := w.upstream("one")
		u := w.forward(a, up)
		h1, h2 := w.hold(w.client(false), u, up, 2), w.hold(w.client(true), u, up, 2)
		time.Sleep(4 * time.Minute)
		up.Release()
		for range 2 {
			for h, o := range map[string]Outcome{"h1": <-h1, "h2": <-h2} {
				if o != OK {
					t.Errorf("%s: an answer after four minutes: got %q", h, o)
				}
			}
		}
		h1, h2 = w.hold(w.client(false), u, up, 2), w.hold(w.client(true), u, up, 2)
		start := time.Now()
		for range 2 {
			for h, o := range map[string]Outcome{"h1": <-h1, "h2": <-h2} {
				if o != "504 ERR_NGROK_3008" {
					t.Errorf("%s: no answer at all: got %q, want 504 3008", h, o)
				}
			}
		}
		if d := time.Since(start); d < 5*time.Minute-time.Second || d > 5*time.Minute+5*time.Second {
			t.Errorf("no answer at all: given up after %v, want 5m", d)
		}
	})
}

// TestF10_ClientVanishesAtTheUpstream: the upstream hears at once that a client
// has gone, whatever it was doing, and the exchange is in the log once.
func TestF10_ClientVanishesAtTheUpstream(t *testing.T) {
	t.Parallel()
	for h, h2 := range map[string]bool{"h1": false, "h2": true} {
		for name, tt := range map[string]struct {
			path  string
			start func(ctx context.Context, c *http.Client, u string)
			gone  func(*Upstream) int64
		}{
			"waiting": {"/hold", func(ctx context.Context, c *http.Client, u string) {
				send(ctx, c, http.MethodGet, u+"/hold", http.NoBody)
			}, func(u *Upstream) int64 { return u.Gone.Load() }},
			"mid-upload": {"/sink", func(ctx context.Context, c *http.Client, u string) {
				// A body that goes on for ever.
				send(ctx, c, http.MethodPost, u+"/sink?n=1", &endless{ctx: ctx})
			}, func(u *Upstream) int64 { return u.Partial.Load() }},
			"mid-download": {"/bytes/1000000000000", func(ctx context.Context, c *http.Client, u string) {
				send(ctx, c, http.MethodGet, u+"/bytes/1000000000000", http.NoBody)
			}, func(u *Upstream) int64 { return u.Partial.Load() }},
		} {
			t.Run(h+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, Loopback{})
				up := w.upstream("one")
				u := w.forward(w.agent(""), up)
				ctx, leave := context.WithCancel(t.Context())
				done := make(chan struct{})
				c := w.client(h2)
				go func() { defer close(done); tt.start(ctx, c, u) }()
				eventually(t, "the exchange is under way", func() bool { return w.node.Open() == 1 })
				eventually(t, "the upstream has it", func() bool { return up.Held.Load()+up.Begun.Load() == 1 })
				leave()
				c.CloseIdleConnections()
				<-done
				start := time.Now()
				eventually(t, "the upstream hears of it", func() bool { return tt.gone(up) == 1 })
				t.Logf("after %v", time.Since(start))
				eventually(t, "the stream has ended", func() bool { return w.node.Open() == 0 })
				eventually(t, "the exchange is logged", func() bool { return w.acc.count("path="+tt.path) > 0 })
				if n := w.acc.count("path=" + tt.path); n != 1 {
					t.Errorf("the exchange is in the log %d times, want once:\n%s", n, w.acc.tail(2000))
				}
			})
		}
	}
}

// send makes a request and reads what comes, until ctx ends.
func send(ctx context.Context, c *http.Client, method, u string, body io.Reader) {
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		panic(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

// endless is the body of a client that never has enough: it fits the pattern up
// to where the upstream looks, and goes on.
type endless struct {
	ctx context.Context //nolint:containedctx // a reader has no other way
	p   pattern
}

func (e *endless) Read(b []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, e.ctx.Err()
	}
	e.p.n = 1 << 60
	return e.p.Read(b)
}

// TestF30_ConnectionFlood opens ten times as many connections as the server has
// room for. Who is in is served; who is not waits, and comes in later.
func TestF30_ConnectionFlood(t *testing.T) {
	t.Parallel()
	const capacity = 40
	w := newWorld(t, Loopback{}, func(c *node.Config) { c.Edge.Connections = capacity })
	u := w.forward(w.agent(""), w.upstream("one"))
	load := w.load(u, func(c *LoadConfig) { c.H1, c.H2, c.WebSockets = 6, 6, 3 })
	await(t, load, 5)

	var flood []net.Conn
	for range 10 * capacity {
		flood = append(flood, w.dial(w.info.HTTPS.String())) // which say nothing
	}
	t.Logf("%d connections beside the load's", len(flood))
	before := load.Counts()
	await(t, load, 100)
	only(t, load.Counts().Since(before))

	for _, c := range flood {
		c.Close()
	}
	if o, _ := Get(t.Context(), w.client(true), u, false, 1000); o != OK {
		t.Errorf("after the flood: %q", o)
	}
	counts := load.Stop()
	only(t, counts)
	if n := w.node.Tunnels().NumSessions(); n != 1 {
		t.Errorf("got %d sessions, want 1", n)
	}
	t.Logf("load: %v", counts)
}

// TestF34_AgentsReconnectAtOnce cuts many agents at the same moment. The server
// lets few of them in at a time, all come back, and those that were not cut
// notice nothing.
func TestF34_AgentsReconnectAtOnce(t *testing.T) {
	t.Parallel()
	const agents = 150
	w := newWorld(t, newMemory(), func(c *node.Config) { c.Agents.Pending = 8 })
	l := w.link()
	up := w.upstream("one")
	steady := w.forward(w.agent(""), up)
	var urls []string
	for range agents {
		urls = append(urls, w.forward(w.agent(l.Addr()), up))
	}
	load := w.load(steady, func(c *LoadConfig) { c.Upload = 1 << 20 })
	await(t, load, 5)
	for range 2 {
		dials := len(l.Dials())
		start := time.Now()
		l.Cut()
		eventually(t, "all agents have come again", func() bool { return len(l.Dials()) >= dials+agents })
		eventually(t, "all agents are back", func() bool { return w.node.Tunnels().NumSessions() == agents+1 })
		t.Logf("%d agents are back after %v", agents, time.Since(start))
	}
	c := w.client(true)
	for i, u := range urls {
		if o, _ := Get(t.Context(), c, u, false, 100); o != OK {
			t.Errorf("endpoint %d: %q", i, o)
		}
	}
	only(t, load.Stop())
}
