package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

func echoRequest(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Host, b)
}

func TestEndpoints20_HTTP2ClientHTTP1Upstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("upstream sees %s", r.Proto)
		}
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Announced")
		fmt.Fprintf(w, "%s %s %s %s trailer %q", r.Method, r.RequestURI, r.Host, b, r.Trailer.Get("X-Sum"))
		w.(http.Flusher).Flush()
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "2")
	})))
	for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		got := do(t, c, "POST", "/a%2Fb?c=d&e", io.MultiReader(strings.NewReader("body")), func(r *http.Request) {
			r.Trailer = http.Header{"X-Sum": {"77"}}
		})
		if want := `POST /a%2Fb?c=d&e app.example.com body trailer "77"`; got.body != want || got.err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got.body, got.err, want)
		}
		if got.Trailer.Get("X-Announced") != "1" || got.Trailer.Get("X-Surprise") != "2" {
			t.Errorf("%s: got trailers %v, want X-Announced: 1 and X-Surprise: 2", name, got.Trailer)
		}
	}
}

// TestEndpoints23_Events: each event arrives before the next one is sent.
func TestEndpoints23_ServerSentEvents(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		next := make(chan struct{})
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			for i := range 5 {
				<-next
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
			}
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for _, c := range []*http.Client{w.h1(), w.h2()} {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://app.example.com/", nil)
			resp, err := c.Do(req) // returns although no event has been sent
			if err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(resp.Body)
			for i := range 5 {
				next <- struct{}{}
				line, err := br.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
					t.Fatalf("got %q, %v; want %q", line, err, want)
				}
				_, _ = br.ReadString('\n')
			}
			if resp.Header.Get("Content-Encoding") != "" {
				t.Error("compressed unasked")
			}
			_ = resp.Body.Close()
		}
	}
}

func TestEndpoints24_T20_T21_ForwardedHeaders(t *testing.T) {
	t.Parallel()
	send := http.Header{
		"X-Forwarded-For": {"198.51.100.1", "198.51.100.2"}, "X-Forwarded-Proto": {"gopher"},
		"X-Forwarded-Host": {"spoof.example"}, "X_Forwarded_For": {"evil"}, "X-Forwarded_Proto": {"evil"},
		"Forwarded": {"for=evil"}, "X-Forwarded-Port": {"1"}, "X-Real-Ip": {"evil"}, "X-Kept_One": {"yes"},
		"Connection": {"X-Forwarded-For, X-Listed"}, "X-Listed": {"x"},
	}
	tests := []struct {
		mode Forwarded
		want http.Header
	}{
		{ForwardAppend, http.Header{
			// The client's own value went with its Connection field (T21), ours stays.
			"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"gopher, https"}, "X-Forwarded-Host": {"spoof.example"},
			"Forwarded": {"for=evil"}, "X-Forwarded-Port": {"1"}, "X-Real-Ip": {"evil"}, "X-Kept_one": {"yes"},
		}},
		{ForwardReplace, http.Header{
			"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"app.example.com"}, "X-Kept_one": {"yes"},
		}},
		{ForwardOff, http.Header{
			"X-Forwarded-Proto": {"gopher"}, "X-Forwarded-Host": {"spoof.example"}, "X_forwarded_for": {"evil"}, "X-Forwarded_proto": {"evil"},
			"Forwarded": {"for=evil"}, "X-Forwarded-Port": {"1"}, "X-Real-Ip": {"evil"}, "X-Kept_one": {"yes"},
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.mode), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *Config) { c.ForwardedHeaders = tt.mode })
			var got http.Header
			w.online("app.example.com", w.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header })))
			conn := w.dial(true)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\n")
			_ = send.Write(conn)
			_, _ = io.WriteString(conn, "\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
				t.Fatalf("got %v, %v", resp, err)
			}
			if g, want := fmt.Sprint(got), fmt.Sprint(tt.want); g != want {
				t.Errorf("upstream sees\n%s, want\n%s", g, want)
			}
		})
	}
	t.Run("spoofed values stay ahead of ours", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"])
		})))
		got := do(t, w.h2(), "GET", "/", nil, func(r *http.Request) { r.Header["X-Forwarded-For"] = []string{"1.1.1.1", "2.2.2.2"} })
		if want := "[1.1.1.1, 2.2.2.2, 203.0.113.7] [https] [app.example.com]"; got.body != want {
			t.Errorf("got %s, want %s", got.body, want)
		}
	})
}

func TestEndpoints25_ErrorCodeOfUpstreamIsStripped(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ngrok-error-code", "ERR_NGROK_1")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "ngrok-error-code")
			fmt.Fprint(w, "x")
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		got := do(t, w.h1(), "GET", "/", nil)
		wantStatus(t, got, 200, "")
		if got.Trailer.Get("ngrok-error-code") != "" {
			t.Errorf("the code got through as a trailer: %v", got.Trailer)
		}
	}
}

func TestEndpoints27_UpstreamUnreachable(t *testing.T) {
	t.Parallel()
	record := string(wire.AppendFault(nil, fault.New(fault.UpstreamUnreachable, "http://localhost:8080", "connection <refused>")))
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = br.ReadByte()
			_, _ = io.WriteString(c, record[:9]) // a record may come in pieces
			_, _ = io.WriteString(c, record[9:])
		}), func(e *route.Endpoint) { e.HTTP2 = http2 })
		const code = "ERR_NGROK_8012"
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			name = fmt.Sprintf("%s to http2=%v", name, http2)
			got := do(t, c, "GET", "/", nil, header("Accept", "text/html,*/*;q=0.8"))
			wantStatus(t, got, 502, code)
			if !strings.Contains(got.body, "localhost:8080") || !strings.Contains(got.body, "&lt;refused&gt;") || !strings.HasPrefix(got.body, "<!doctype html>") {
				t.Errorf("%s: page does not name the address, or does not escape: %s", name, got.body)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: Cache-Control = %q", name, got.Header.Get("Cache-Control"))
			}
			got = do(t, c, "POST", "/", strings.NewReader("x"), header("Accept", "application/json"))
			wantStatus(t, got, 502, code)
			var p problem
			if err := json.Unmarshal([]byte(got.body), &p); err != nil || p.Code != code || p.RequestID == "" || p.Detail == "" ||
				got.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: not a problem document: %s %v", name, got.body, err)
			}
			got = do(t, c, "POST", "/pkg.Svc/Do", strings.NewReader("x"), header("Content-Type", "application/grpc+proto"))
			wantStatus(t, got, 200, code)
			if got.Header.Get("Grpc-Status") != "14" || !strings.Contains(got.Header.Get("Grpc-Message"), code) || got.body != "" {
				t.Errorf("%s: not a gRPC status: %v %q", name, got.Header, got.body)
			}
			got = do(t, c, "HEAD", "/", nil)
			wantStatus(t, got, 502, code)
		}
	}
}

func TestEndpoints28_GarbageFromUpstream(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"tls alert": "\x15\x03\x01\x00\x02\x02\x46", "ssh": "SSH-2.0-x\r\n", "nothing": "", "half a head": "HTTP/1.1 200 OK\r\nA: b",
		"unasked switch":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		"bad record":      "\x00CVF\x00\x00\x00\x02{}",
		"endless interim": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20),
	} {
		w := newWorld(t)
		w.online("app.example.com", answer(t, text))
		got := do(t, w.h1(), "GET", "/", nil, header("Accept", "text/plain"))
		wantStatus(t, got, 502, "ERR_NGROK_3004")
		if !strings.Contains(got.body, "https://") || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: no hint about https upstreams: %s", name, got.body)
		}
	}
	t.Run("http2", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.online("app.example.com", answer(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), func(e *route.Endpoint) { e.HTTP2 = true })
		if got := do(t, w.h2(), "GET", "/", nil); got.StatusCode != 502 {
			t.Errorf("got %d %s", got.StatusCode, got.body)
		}
	})
}

func TestEndpoints29_HeaderLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			w.Header().Set("X-Big", strings.Repeat("b", 1<<20+100<<10))
		}
		fmt.Fprint(w, len(r.Header))
	})))
	big := func(n int) func(*http.Request) {
		return func(r *http.Request) {
			for i := range n {
				r.Header.Set(fmt.Sprintf("X-%d", i), strings.Repeat("v", 50_000))
			}
		}
	}
	for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		if got := do(t, c, "GET", "/", nil, big(18)); got.StatusCode != 200 {
			t.Errorf("%s: 900 KB of headers: got %d, want 200", name, got.StatusCode)
		}
		if got := do(t, c, "GET", "/big", nil); got.StatusCode != 502 {
			t.Errorf("%s: response header of 1.1 MB: got %d, want 502", name, got.StatusCode)
		}
		many := do(t, c, "GET", "/", nil, func(r *http.Request) {
			for i := range 501 {
				r.Header.Add("X-Many", fmt.Sprint(i))
			}
		})
		wantStatus(t, many, 431, string(fault.HeaderTooLarge))
		biscuits := do(t, c, "GET", "/", nil, header("Cookie", strings.Repeat("a=b; ", 3001)))
		wantStatus(t, biscuits, 431, string(fault.HeaderTooLarge))
		long := do(t, c, "GET", "/", nil, header("X-Long", strings.Repeat("x", 65<<10)))
		wantStatus(t, long, 431, string(fault.HeaderTooLarge))
	}
	if got := do(t, w.h1(), "GET", "/", nil, big(22)); got.StatusCode != 431 {
		t.Errorf("1.1 MB of headers: got %d, want 431", got.StatusCode)
	}
}

// endless is a reader of left bytes that measures the heap once in a while.
type endless struct {
	left int64
	peak *uint64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	if before := e.left; before>>24 != (before-int64(n))>>24 {
		*e.peak = max(*e.peak, liveHeap())
	}
	e.left -= int64(n)
	return n, nil
}

// liveHeap is what is in use, without garbage.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestEndpoints30_FlatMemory is the short form of the 10 GB transfers.
func TestEndpoints30_FlatMemory(t *testing.T) { //nolint:paralleltest // measures the heap
	const size = transfer
	base := liveHeap()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		var peak uint64
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			if r.Method == "GET" {
				_, _ = io.Copy(w, &endless{left: size, peak: &peak})
				return
			}
			fmt.Fprint(w, n)
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			name = fmt.Sprintf("%s to http2=%v", name, http2)
			peak = 0
			if got := do(t, c, "PUT", "/", &endless{left: size, peak: &peak}); got.body != fmt.Sprint(size) {
				t.Errorf("%s: upload: %s bytes arrived", name, got.body)
			}
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://app.example.com/", nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if n != size || err != nil {
				t.Errorf("%s: download: %d bytes, %v", name, n, err)
			}
			if peak > base+32<<20 {
				t.Errorf("%s: heap of %d MB on the way, %d MB before", name, peak>>20, base>>20)
			}
		}
	}
}

// TestEndpoints33_NoReplayOnAnotherMember: a member that dies fails its
// requests, and gets no more once it is gone.
func TestEndpoints33_NoReplayOnAnotherMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ok := w.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	w.online("app.example.com", ok)
	dying := w.online("app.example.com", raw(t, func(_ net.Conn, br *bufio.Reader) { _, _ = http.ReadRequest(br) }))
	c := w.h1()
	failed, good := 0, 0
	for range 20 {
		switch got := do(t, c, "GET", "/", nil); got.StatusCode {
		case 200:
			good++
		case 502:
			failed++
		}
	}
	if failed != 10 || good != 10 {
		t.Errorf("got %d good and %d failed, want 10 and 10", good, failed)
	}
	w.offline(dying)
	for range 10 {
		wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
	}
}

func TestEndpoints31_PoolPerRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })))
	}
	c, seen := w.h1(), map[string]int{}
	for range 30 {
		seen[do(t, c, "GET", "/", nil).body]++
	}
	if seen["a"] != 10 || seen["b"] != 10 || seen["c"] != 10 {
		t.Errorf("got %v, want 10 each", seen)
	}
}

func TestEndpoints11_RedirectToHTTPS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status   int
		port     uint16
		location string
	}{{307, 443, "https://app.example.com/p?q=1"}, {308, 9443, "https://app.example.com:9443/p?q=1"}, {0, 443, ""}} {
		w := newWorld(t, func(c *Config) { c.RedirectHTTP, c.HTTPSPort = tt.status, tt.port })
		w.online("https://app.example.com", w.serve(http.NotFound))
		for _, method := range []string{"GET", "POST"} {
			got := do(t, w.h1(), method, "http://APP.example.com:80/p?q=1", strings.NewReader("x"))
			if tt.status == 0 {
				wantStatus(t, got, 404, "ERR_NGROK_3200")
				continue
			}
			if got.StatusCode != tt.status || got.Header.Get("Location") != tt.location {
				t.Errorf("%s: got %d %q, want %d %q", method, got.StatusCode, got.Header.Get("Location"), tt.status, tt.location)
			}
		}
	}
}

func TestEndpoints12_PlainEndpointServesItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(http.NotFound))
	w.online("http://app.example.com", w.serve(echoRequest))
	if got := do(t, w.h1(), "GET", "http://app.example.com/x", nil); got.body != "GET /x app.example.com " {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}

// TestT83_PanicCostsOneExchange has an endpoint whose upstream is nil, which
// cannot be dialled.
func TestT83_PanicCostsOneExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := w.online("app.example.com", nil)
	clients := []*http.Client{w.h1(), w.h2()}
	for _, c := range clients {
		wantStatus(t, do(t, c, "GET", "/", nil), 500, "ERR_NGROK_722")
		wantStatus(t, do(t, c, "POST", "/", strings.NewReader("x")), 500, "ERR_NGROK_722")
	}
	w.offline(bad)
	w.online("app.example.com", w.serve(http.HandlerFunc(echoRequest)))
	for _, c := range clients {
		wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
	}
}

// TestKeepAliveUpstream: one public connection uses one upstream connection
// for its requests, another one its own.
func TestKeepAliveUpstream(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		s := w.serve(http.HandlerFunc(echoRequest))
		w.online("app.example.com", s, func(e *route.Endpoint) { e.HTTP2 = http2 })
		a, b := w.h1(), w.h1()
		for range 5 {
			do(t, a, "GET", "/", nil)
			do(t, a, "POST", "/", bytes.NewReader(make([]byte, 100)))
		}
		do(t, b, "GET", "/", nil)
		if got := s.dials.Load(); got != 2 {
			t.Errorf("http2=%v: %d upstream connections, want 2", http2, got)
		}
	}
}

// TestRequestsPerConnection: a connection ends after so many requests, and the
// client goes on with a fresh one.
func TestRequestsPerConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(echoRequest))
	for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		for range 3 {
			got := do(t, c, "GET", "/", nil)
			wantStatus(t, got, 200, "")
			w.srv.mu.Lock()
			for ec := range w.srv.conns {
				ec.watch.mu.Lock()
				if ec.watch.total > 100_000 {
					t.Errorf("%s: a connection took %d requests", name, ec.watch.total)
				}
				ec.watch.total = 100_000 - 1 // the next one is the last
				ec.watch.mu.Unlock()
			}
			w.srv.mu.Unlock()
		}
	}
}

// TestKeptConnectionEnds: a safe request is sent again when the service closed
// the kept connection, any other is not.
func TestKeptConnectionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		_, _ = http.ReadRequest(br) // closes without an answer
	}))
	c := w.h1()
	for range 3 {
		wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
	}
	wantStatus(t, do(t, c, "POST", "/", strings.NewReader("x")), 502, "ERR_NGROK_3004")
}

// TestYoungBind: an agent that does not know its endpoint yet hangs up.
func TestYoungBind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := 0
	w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
		if calls++; calls < 3 {
			return
		}
		if req, err := http.ReadRequest(br); err == nil {
			b, _ := io.ReadAll(req.Body)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		}
	}), func(e *route.Endpoint) { e.BoundAt = time.Now() })
	got := do(t, w.h1(), "POST", "/", strings.NewReader("once"))
	if got.body != "once" || calls != 3 {
		t.Errorf("got %q after %d dials, want once after 3", got.body, calls)
	}
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	for code, err := range map[string]error{
		"ERR_NGROK_724":  fault.New(fault.NoMember, "https://app.example.com"),
		"ERR_NGROK_3210": errors.New("session is gone"),
	} {
		w := newWorld(t)
		for _, http2 := range []bool{false, true} {
			e := w.online("app.example.com", dialer(func(context.Context, wire.ProxyHeader) (net.Conn, error) { return nil, err }),
				func(e *route.Endpoint) { e.HTTP2 = http2 })
			f := fault.New(fault.Code(code))
			got := do(t, w.h1(), "GET", "/", nil)
			wantStatus(t, got, f.Status, code)
			if f.Status == 503 && got.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			w.offline(e)
		}
	}
}
