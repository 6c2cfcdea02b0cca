package fetch_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/fetch"
	"github.com/culvert-project/culvert/server/internal/outbound"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

// internalFunc is an internal endpoint made of a function.
type internalFunc func(ctx context.Context, r *http.Request) (*http.Response, error)

func (f internalFunc) Call(ctx context.Context, _ *policy.Exchange, r *http.Request) (*http.Response, error) {
	return f(ctx, r)
}

// handled is an internal endpoint that a handler answers.
func handled(h http.HandlerFunc) internalFunc {
	return func(_ context.Context, r *http.Request) (*http.Response, error) {
		if r.Body == nil {
			r.Body = http.NoBody
		}
		w := httptest.NewRecorder()
		h(w, r)
		return w.Result(), nil
	}
}

// run runs an http-request with this configuration and returns what it left.
func run(t *testing.T, s fetch.Services, config string) (func(name string) any, error) {
	t.Helper()
	reg, err := policy.NewRegistry(fetch.Definitions(s)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(reg)
	if err != nil {
		t.Fatal(err)
	}
	d, found := policy.Parse("", []byte("on_http_request: [{actions: [{type: http-request, config: {on_error: halt, "+config+"}}]}]"))
	if found.Failed() {
		t.Fatal(found)
	}
	p, found := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS})
	if found.Failed() {
		t.Fatal(found)
	}
	x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.MustParseAddrPort("203.0.113.7:1")})
	x.Request = httptest.NewRequest(http.MethodGet, "https://h.example/", nil)
	x.Request.Header.Set("Cookie", "mine=1")
	_, err = p.Run(t.Context(), policy.OnHTTPRequest, x)
	return func(name string) any {
		v, _ := x.Result("http_request." + name)
		return v
	}, err
}

func wantCode(t *testing.T, err error, code fault.Code, part string) {
	t.Helper()
	if !fault.Has(err, code) || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %s with %q", err, code, part)
	}
}

// loopback lets the action ask servers of this test.
func loopback() http.RoundTripper {
	return (&outbound.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}).Transport()
}

func TestCases(t *testing.T) {
	t.Parallel()
	gate := handled(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			r.Header.Del("Ngrok-Req-Id")
			w.Header().Set("X-Gate", "open")
			_, _ = fmt.Fprintf(w, "%s %s %v %s", r.Method, r.URL, r.Header, body)
		case "/hop":
			http.Redirect(w, r, "/echo", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	r, err := policy.NewRegistry(fetch.Definitions(fetch.Services{Internal: gate, Version: "test", NewID: func() string { return "req_1" }})...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/*.txtar")
}

func TestPolicy57_RetriesFourCallsAtMost(t *testing.T) {
	t.Parallel()
	calls := 0
	got, err := run(t, fetch.Services{Internal: handled(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusInternalServerError)
	})}, "url: 'http://a.internal', retry_condition: 'last_attempt.res.statusCode == 500 && attempts < 10'")
	if err != nil || calls != 4 || got("res.status_code") != int64(500) || len(got("attempts").([]any)) != 4 {
		t.Errorf("got %d calls, %v, %v, %v", calls, got("res.status_code"), got("attempts"), err)
	}
}

func TestPolicy57_RetryAfterAFailure(t *testing.T) {
	t.Parallel()
	calls := 0
	got, err := run(t, fetch.Services{Internal: internalFunc(func(ctx context.Context, r *http.Request) (*http.Response, error) {
		if calls++; calls == 1 {
			return nil, errors.New("broke off")
		}
		return handled(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })(ctx, r)
	})}, `url: "http://a.internal", retry_condition: "last_attempt.error.code == 'ERR_NGROK_3601' && last_attempt.req.method == 'GET' && last_attempt.res.status_code == 0"`)
	if err != nil || calls != 2 || got("res.body") != "fine" || got("error.code") != "" {
		t.Errorf("got %d calls, %v, %v", calls, got("res.body"), err)
	}
}

func TestPolicy57_Redirects(t *testing.T) {
	t.Parallel()
	s := fetch.Services{Internal: handled(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", r.URL.Path+"x")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})}
	if got, err := run(t, s, "url: 'http://a.internal'"); err != nil || got("res.status_code") != int64(307) {
		t.Errorf("without redirects: got %v, %v", got("res.status_code"), err)
	}
	_, err := run(t, s, "url: 'http://a.internal', max_redirects: 3")
	wantCode(t, err, fault.CallRedirects, "3 times")
	_, err = run(t, s, "url: 'http://a.internal', method: POST, body: b, max_redirects: 100")
	wantCode(t, err, fault.CallRedirects, "10 times")
}

// TestT61_RedirectsStayWhereTheyMayGo has servers lead to where nobody may go,
// and take secrets along.
func TestT61_RedirectsStayWhereTheyMayGo(t *testing.T) {
	t.Parallel()
	var seen atomic.Pointer[http.Request]
	last := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.Store(r) }))
	defer last.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	}))
	defer first.Close()
	s := fetch.Services{Outside: loopback(), Internal: internalFunc(func(context.Context, *http.Request) (*http.Response, error) {
		t.Error("the internal endpoint was asked")
		return nil, errors.New("asked")
	})}
	config := func(to string) string {
		return "url: '" + first.URL + "?to=" + to + "', max_redirects: 5, method: POST, body: b, headers: {authorization: secret, cookie: a=b, x-a: b}"
	}
	for to, part := range map[string]string{
		"http://169.254.169.254/": "169.254.169.254", "http://10.0.0.1/": "10.0.0.1", "http://[::ffff:169.254.169.254]/": "169.254.169.254",
		"http://gate.internal/": "internal", "http://GATE.INTERNAL./": "internal", "file:///etc/passwd": "begins with http", "gopher://x/": "begins with http",
	} {
		_, err := run(t, s, config(to))
		wantCode(t, err, fault.CallFailed, part)
	}
	if _, err := run(t, s, config(last.URL)); err != nil {
		t.Fatal(err)
	}
	r := seen.Load()
	if h := r.Header; r.Method != http.MethodGet || h.Get("Authorization") != "" || h.Get("Cookie") != "" || h.Get("X-A") != "b" || h.Get("X-Forwarded-For") != "203.0.113.7" {
		t.Errorf("the last server got %s %v", r.Method, h)
	}
}

func TestT61_NothingOutsideUnlessAllowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	defer server.Close()
	_, err := run(t, fetch.Services{}, "url: '"+server.URL+"'")
	wantCode(t, err, fault.CallFailed, "no internal endpoint")
	_, err = run(t, fetch.Services{Outside: (&outbound.Guard{Public: true}).Transport()}, "url: '"+server.URL+"'")
	wantCode(t, err, fault.CallFailed, "may not be asked")
}

// hostile answers each connection with what f writes.
func hostile(t *testing.T, f func(c net.Conn)) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				f(c)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return "http://" + ln.Addr().String()
}

// endless writes a text until nobody reads any more.
func endless(c net.Conn, text string) int {
	n := 0
	for {
		m, err := io.WriteString(c, text)
		if n += m; err != nil {
			return n
		}
	}
}

func TestT61_HostileServers(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 4<<20))
	_ = z.Close()
	for name, tt := range map[string]struct {
		answer func(c net.Conn)
		want   fault.Code
	}{
		"endless headers": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			endless(c, "X-A: "+strings.Repeat("a", 1000)+"\r\n")
		}, fault.CallFailed},
		"endless interim answers": {func(c net.Conn) { endless(c, "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n") }, fault.CallFailed},
		"endless body": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			if n := endless(c, strings.Repeat("a", 1000)); n > 64<<20 {
				t.Errorf("it took %d bytes", n)
			}
		}, fault.CallFailed},
		"large body by its length": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
			endless(c, strings.Repeat("a", 1000))
		}, fault.CallFailed},
		"compressed bomb": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len())
			_, _ = c.Write(bomb.Bytes())
		}, fault.CallFailed},
		"slow body": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na")
			_, _ = c.Read(make([]byte, 1)) // until the other side has enough
		}, fault.CallTimeout},
		"silence":        {func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, fault.CallTimeout},
		"no HTTP":        {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }, fault.CallFailed},
		"body cut short": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") }, fault.CallFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := "30s"
			if tt.want == fault.CallTimeout {
				timeout = "1s"
			}
			got, err := run(t, fetch.Services{Outside: loopback()}, "url: '"+hostile(t, tt.answer)+"', timeout: "+timeout)
			wantCode(t, err, tt.want, "")
			if body := got("res.body"); body != "" {
				t.Errorf("it left a body of %d bytes", len(body.(string)))
			}
		})
	}
}

func TestPolicy57_BodyAtTheLimit(t *testing.T) {
	t.Parallel()
	size := 256 << 10
	s := fetch.Services{Internal: handled(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("a"), size)) })}
	if got, err := run(t, s, "url: 'http://a.internal'"); err != nil || len(got("res.body").(string)) != size {
		t.Errorf("at the limit: %v", err)
	}
	size++
	_, err := run(t, s, "url: 'http://a.internal'")
	wantCode(t, err, fault.CallFailed, "262144 bytes")
}

// TestPolicy57_TimeoutCoversRetries counts attempts that are each within the
// time, and together not.
func TestPolicy57_TimeoutCoversRetries(t *testing.T) {
	t.Parallel()
	s := fetch.Services{Internal: internalFunc(func(ctx context.Context, _ *http.Request) (*http.Response, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the request has no deadline")
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})}
	start := time.Now()
	_, err := run(t, s, "url: 'http://a.internal', timeout: 1s, retry_condition: 'true'")
	wantCode(t, err, fault.CallTimeout, "1s")
	if d := time.Since(start); d < time.Second {
		t.Errorf("it gave up after %v", d)
	}
}
