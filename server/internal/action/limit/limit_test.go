package limit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/limit"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t testing.TB) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(limit.Definitions(limit.Config{})...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/*.txtar")
}

// server runs the request phase of policies whose state lasts.
type server struct {
	t        testing.TB
	compiler *policy.Compiler
	program  *policy.Program
}

func newServer(t testing.TB, doc string) *server {
	t.Helper()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, compiler: c}
	s.load(doc)
	return s
}

func (s *server) load(doc string) {
	s.t.Helper()
	d, found := policy.Parse("p.yml", []byte(doc))
	if !found.Failed() {
		s.program, found = s.compiler.Compile(d, policy.Target{Scheme: endpoint.HTTPS})
	}
	if found.Failed() {
		s.t.Fatal(found)
	}
}

// ask runs the request phase for a client and returns the exchange and the
// status that refuses it, 0 if it may pass.
func (s *server) ask(client string, header ...string) (*policy.Exchange, int) {
	s.t.Helper()
	x := policy.NewExchange(s.program.Env(), &policy.Conn{Client: netip.MustParseAddrPort(client)})
	x.Endpoint.ID = "ep_1"
	x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i+1 < len(header); i += 2 {
		x.Request.Header.Set(header[i], header[i+1])
	}
	v, err := s.program.Run(s.t.Context(), policy.OnHTTPRequest, x)
	switch {
	case err != nil:
		return x, fault.From(err).Status
	case v == policy.Refuse:
		return x, x.Response.StatusCode
	}
	return x, 0
}

func rate(capacity int, rest string) string {
	return fmt.Sprintf("on_http_request: [{actions: [{type: rate-limit, config: {name: n, algorithm: sliding_window, capacity: %d, rate: 60s, %s}}]}]", capacity, rest)
}

const (
	alice = "203.0.113.7:1"
	bob   = "203.0.113.8:1"
)

func (s *server) want(status int, client string, header ...string) *policy.Exchange {
	s.t.Helper()
	x, got := s.ask(client, header...)
	if got != status {
		s.t.Errorf("at %s for %s %v: got %d, want %d", time.Now().Format("04:05"), client, header, got, status)
	}
	return x
}

func TestPolicy47_RateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, rate(5, "bucket_key: conn.client_ip"))
		for range 5 {
			s.want(0, alice)
		}
		time.Sleep(4500 * time.Millisecond)
		x := s.want(429, alice)
		if got := x.Response.Header.Get("Retry-After"); got != "56" {
			t.Errorf("got Retry-After %s, want 56", got)
		}
		if limited, _ := x.Result("rate_limit.limited"); limited != true {
			t.Errorf("got limited %v", limited)
		}
		s.want(0, bob)
		time.Sleep(time.Minute)
		s.want(0, alice)
	})
}

func TestPolicy47_KeysDoNotCollide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, rate(1, `bucket_key: ["req.headers['a'][0]", "getReqHeader('B')"]`))
		s.want(0, alice, "A", "a|b", "B", "c")
		s.want(0, alice, "A", "a", "B", "b|c")
		s.want(0, alice, "A", "a,b", "B", "c")
		s.want(429, bob, "A", "a|b", "B", "c")
		s.want(0, alice, "B", "x") // the first key fails
		s.want(429, bob, "B", "x")
		s.want(0, alice)
		s.want(429, bob) // without the header they share a bucket
	})
}

func TestPolicy47_StateSurvivesEdits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, rate(2, "bucket_key: conn.client_ip"))
		s.want(0, alice)
		s.want(0, alice)
		s.load("on_http_request: [{name: another, expressions: ['true'], actions: [{type: rate-limit, config: {name: n, algorithm: sliding_window, capacity: 3, rate: 60s, bucket_key: [conn.client_ip]}}]}]")
		s.want(0, alice)
		s.want(429, alice)
		s.load(rate(1, "bucket_key: conn.client_ip, enforce: false"))
		x := s.want(0, alice)
		if limited, _ := x.Result("rate_limit.limited"); limited != true {
			t.Errorf("got limited %v without enforce", limited)
		}
		s.load(strings.Replace(rate(1, "bucket_key: conn.client_ip"), "name: n", "name: other", 1))
		s.want(0, alice)
	})
}

// TestPolicy47_EqualActionsAreIndependent has two that look the same: each
// counts for itself, so that every request counts once in both.
func TestPolicy47_EqualActionsAreIndependent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := "{type: rate-limit, config: {name: n, algorithm: sliding_window, capacity: 2, rate: 60s, bucket_key: conn.client_ip}}"
		s := newServer(t, "on_http_request: [{actions: ["+one+", "+one+"]}]")
		s.want(0, alice)
		s.want(0, alice)
		s.want(429, alice)
	})
}

func TestT33_IPv6ByNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, rate(1, "bucket_key: conn.client_ip"))
		s.want(0, "[2001:db8::1]:1")
		s.want(429, "[2001:db8::ffff:2]:1")
		s.want(0, "[2001:db8:0:1::1]:1")
		s.want(0, "[::ffff:203.0.113.7]:1")
		s.want(429, alice)
		s = newServer(t, rate(1, `bucket_key: "conn.client_ip + ''"`))
		s.want(0, "[2001:db8::1]:1")
		s.want(0, "[2001:db8::2]:1")
	})
}

func TestPolicy48_BoundsOfRateLimits(t *testing.T) {
	t.Parallel()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		"rate: 65s":                  "2204",
		"rate: 30s":                  "2215",
		"rate: 25h":                  "2215",
		"capacity: 0":                "2215",
		"capacity: 2000000001":       "2215",
		"algorithm: x":               "2222",
		"name: ''":                   "2223",
		"bucket_key: []":             "2223",
		"bucket_key: ['${req.url}']": "2200",
	} {
		settings := map[string]string{"name": "n", "algorithm": "sliding_window", "capacity": "1", "rate": "60s", "bucket_key": "conn.client_ip"}
		key, value, _ := strings.Cut(change, ": ")
		settings[key] = value
		var list []string
		for k, v := range settings {
			list = append(list, k+": "+v)
		}
		d, _ := policy.Parse("", []byte("on_http_request: [{actions: [{type: rate-limit, config: {"+strings.Join(list, ", ")+"}}]}]"))
		_, found := c.Compile(d, policy.Target{})
		if !strings.Contains(found.Error(), "ERR_NGROK_"+want) {
			t.Errorf("%s: got %q, want %s", change, found.Error(), want)
		}
	}
}

func breaker(config string) string {
	return "on_http_request: [{actions: [{type: circuit-breaker, config: {" + config + "}}]}]"
}

func TestPolicy49_ThresholdOfZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, breaker("error_threshold: 0, volume_threshold: 1"))
		s.want(0, alice).UpstreamDone(200, nil)
		s.want(503, alice)
		time.Sleep(10 * time.Second)
		s.want(0, alice).UpstreamDone(200, nil) // the trial closes it
		s.want(0, alice).UpstreamDone(200, nil)
		s.want(503, bob)
	})
}

func TestPolicy49_Thresholds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, breaker("error_threshold: 0.5, volume_threshold: 10"))
		for i := range 9 {
			s.want(0, alice).UpstreamDone([]int{500, 200}[i%2], nil) // five errors in nine
		}
		time.Sleep(12 * time.Second) // the window passes
		for i := range 9 {
			x := s.want(0, alice)
			if i < 4 {
				x.UpstreamDone(0, errors.New("gone"))
			} else {
				x.UpstreamDone(499, nil)
			}
		}
		s.want(0, alice).UpstreamDone(0, nil) // something else answered
		late := s.want(0, alice)
		s.want(0, alice).UpstreamDone(503, nil)
		s.want(503, alice)
		late.UpstreamDone(200, nil) // from before it opened
		s.want(503, alice)
	})
}

func TestPolicy49_OneTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, breaker("error_threshold: 1.0, volume_threshold: 1, tripped_duration: 5s"))
		s.want(0, alice).UpstreamDone(500, nil)
		s.want(503, alice)
		time.Sleep(5 * time.Second)
		var passed atomic.Int64
		var trial atomic.Pointer[policy.Exchange]
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if x, status := s.ask(alice); status == 0 {
					passed.Add(1)
					trial.Store(x)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n != 1 {
			t.Fatalf("%d trials passed, want 1", n)
		}
		trial.Load().UpstreamDone(0, nil) // never got to the upstream: another may try
		s.want(0, alice).UpstreamDone(500, nil)
		s.want(503, alice) // open for another period
		time.Sleep(5 * time.Second)
		s.want(0, alice).UpstreamDone(200, nil)
		for range 3 {
			s.want(0, alice)
		}
	})
}

func TestPolicy49_Mistakes(t *testing.T) {
	t.Parallel()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	for config, want := range map[string]string{
		"error_threshold: 1.1": "2215", "volume_threshold: 0": "2215", "window_duration: 121s": "2215", "tripped_duration: 0s": "2215",
		"num_buckets: 9": "2215", "rolling_window: 5s, error_threshold_percentage: 0.1": "another name for window_duration",
	} {
		d, _ := policy.Parse("", []byte(breaker(config)))
		if _, found := c.Compile(d, policy.Target{}); !strings.Contains(found.Error(), want) {
			t.Errorf("%s: got %q, want %s", config, found.Error(), want)
		}
	}
}

// BenchmarkRateLimit is the whole action under a key that needs an expression
// and under the address.
func BenchmarkRateLimit(b *testing.B) {
	for _, key := range []string{"conn.client_ip", "req.headers['x-key'][0]"} {
		b.Run(key, func(b *testing.B) {
			s := newServer(b, rate(2_000_000_000, `bucket_key: "`+key+`"`))
			x, _ := s.ask(alice, "X-Key", "v")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.program.Run(b.Context(), policy.OnHTTPRequest, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
