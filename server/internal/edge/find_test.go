package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/route"
)

// TestD5_WaitingForAgents: shortly after the start, and for names that were
// lost without a farewell, a request waits for the agent.
func TestD5_WaitingForAgents(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		age    time.Duration // of the server
		expect bool          // the name was lost
		url    string
		after  time.Duration // when the agent comes; 0: never
		status int
		waited time.Duration
	}{
		{"agent comes back", 5 * time.Second, false, "https://app.example.com/", time.Second, 200, time.Second},
		{"nobody comes", 5 * time.Second, false, "https://app.example.com/", 0, 404, 3 * time.Second},
		{"comes too late", 5 * time.Second, false, "https://app.example.com/", 10 * time.Second, 404, 3 * time.Second},
		{"server is old", time.Minute, false, "https://app.example.com/", time.Second, 404, 0},
		{"lost name", time.Minute, true, "https://app.example.com/", time.Second, 200, time.Second},
		{"plain request for a lost https name", time.Minute, true, "http://app.example.com/", time.Second, 307, time.Second},
		{"foreign name", 5 * time.Second, false, "http://app.example.net/", 0, 404, 0},
		{"the base domain itself", 5 * time.Second, false, "http://example.com/", 0, 404, 3 * time.Second},
		{"the base domain itself, with TLS", 5 * time.Second, false, "https://example.com/", 0, 404, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.StartedAt = time.Now().Add(-tt.age) })
				up := w.serve(echoRequest)
				if tt.expect {
					w.router.Expect(endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com", Port: 443}},
						time.Now().Add(15*time.Second))
				}
				if tt.after > 0 {
					time.AfterFunc(tt.after, func() { w.online("https://app.example.com", up) })
				}
				c, start := w.h1(), time.Now()
				got := do(t, c, "GET", tt.url, nil)
				if d := time.Since(start); got.StatusCode != tt.status || d.Round(time.Millisecond) != tt.waited {
					t.Errorf("got %d after %v, want %d after %v", got.StatusCode, d, tt.status, tt.waited)
				}
				c.CloseIdleConnections()
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.StartedAt, c.Limits.Waiting = time.Now(), 2 })
		took := make(chan time.Duration, 3)
		c, start := w.h1(), time.Now()
		for range 3 {
			go func() {
				do(t, c, "GET", "http://app.example.com/", nil)
				took <- time.Since(start)
			}()
		}
		if a, b, c := <-took, <-took, <-took; a > time.Second || b < returnWait || c < returnWait {
			t.Errorf("answers after %v, %v, %v; want one at once and two after %v", a, b, c, returnWait)
		}
		c.CloseIdleConnections()
	})
}

// TestEndpoints19_T11_HostOfAnotherEndpoint: a connection is good for the hosts of
// its certificate that have the same TLS settings, and for no others.
func TestEndpoints19_T11_HostOfAnotherEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(echoRequest)
	w.online("https://app.example.com", up)
	w.online("https://other.example.com", up)
	w.online("https://app.example.org", up)
	w.online("https://strict.example.com", up, func(e *route.Endpoint) { e.TLS = &route.TLSSettings{Terminate: true, ID: "other"} })
	for host, want := range map[string]int{
		"app.example.com": 200, "other.example.com": 200, "app.example.org": 421, "strict.example.com": 421, "none.example.com": 404,
	} {
		for _, c := range []*http.Client{w.h1(), w.h2()} {
			if got := do(t, c, "GET", "/", nil, func(r *http.Request) { r.Host = host }); got.StatusCode != want {
				t.Errorf("%s: got %d, want %d", host, got.StatusCode, want)
			}
		}
	}
}

// TestT18_Hosts sends Host fields as they come.
func TestT18_Hosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://app.example.com", w.serve(echoRequest))
	tests := map[string]int{
		"Host: app.example.com": 200, "Host: APP.Example.COM": 200, "Host: app.example.com.": 200, "Host: app.example.com:80": 200,
		"Host: app.example.com:9080": 200, "Host:app.example.com  ": 200,
		"Host: app.example.com:x": 400, "Host: app.example.com:": 400, "Host: app.example.com:99999": 400, "Host: user@app.example.com": 400,
		"Host: app.example.com, app.example.com": 400, "Host: app.example.com\r\nHost: app.example.com": 400, "Host: ": 400, "X: y": 400,
		"Host: app.example.com/x": 400, "Host: [::1]": 404, "Host: [::1%25eth0]": 400, "Host: [::1": 400, "Host: *.example.com": 400,
		"Host: .example.com": 400, "Host: app..example.com": 400, "Host: app.example.com..": 400, "Host: 127.0.0.1": 404,
		"Host: " + strings.Repeat("a", 64) + ".example.com": 400, "Host: b\xc3\xbccher.example.com": 400,
	}
	for line, want := range tests {
		conn := w.dial(false)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\n%s\r\n\r\n", line)
		resp, err := http.ReadResponse(newReader(conn), nil)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if resp.StatusCode != want {
			t.Errorf("%q: got %d, want %d", line, resp.StatusCode, want)
		}
		if want == 400 && !resp.Close {
			t.Errorf("%q: the connection stays open after 400", line)
		}
		_ = conn.Close()
	}
}

// TestH21_TwoSlashesOverHTTP2 holds for upstreams of HTTP/2, whose client
// library knows URLs only.
func TestH21_TwoSlashesOverHTTP2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) }),
		func(e *route.Endpoint) { e.HTTP2 = true })
	for _, target := range []string{"//b/x", "/a%2Fb/../c?d=%20&e", "/"} {
		conn := w.dial(false)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: app.example.com\r\n\r\n", target)
		resp, err := http.ReadResponse(newReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != target {
			t.Errorf("got %d %q, want %q", resp.StatusCode, body, target)
		}
		_ = conn.Close()
	}
}

// TestT02_HTTP2Downgrade: what HTTP/2 can carry and HTTP/1.1 cannot.
func TestT02_HTTP2Downgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(echoRequest))
	got := do(t, w.h2(), "GET", "/", nil, func(r *http.Request) { r.URL.Opaque = "/a b" })
	wantStatus(t, got, 400, string(fault.BadRequest))
}

func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"app.example.com", "APP.example.com:80", "[::1]:80", "a..b", "bücher.example", "xn--bcher-kva.example", "a_b.c.", "*", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := canonicalHost(s)
		if !ok {
			return
		}
		if again, ok := canonicalHost(host); !strings.Contains(host, ":") && (!ok || again != host) {
			t.Errorf("%q gives %q, which gives %q %v", s, host, again, ok)
		}
		if host == "" || host != strings.ToLower(host) || strings.ContainsAny(host, " /@,*[]#?\\\r\n\t") || strings.HasSuffix(host, ".") {
			t.Errorf("%q gives %q", s, host)
		}
	})
}

// TestRemedyForForeignNames: what the server says of a name outside its base
// domains is nothing that it would refuse.
func TestRemedyForForeignNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost:9080":       "names under example.com, such as http://app.example.com:9080;",
		"other.test":           "such as http://app.example.com;",
		"lost.example.com":     "culvert http 8080 --url http://lost.example.com",
		"example.com":          "culvert http 8080 --url http://example.com",
		"not-example.com:8080": "such as http://app.example.com:8080;",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.StartedAt = time.Now().Add(-time.Hour) })
				c := w.h1()
				asked := func(r *http.Request) { r.Host = host }
				if got := do(t, c, "GET", "http://app.example.com/", nil, asked); got.StatusCode != 404 || !strings.Contains(got.body, want) {
					t.Errorf("got %d %s, want %q in it", got.StatusCode, got.body, want)
				}
				c.CloseIdleConnections()
			})
		})
	}
}
