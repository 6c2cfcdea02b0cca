package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

func TestPreferredFormat(t *testing.T) {
	t.Parallel()
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
	tests := []struct {
		contentType, accept string
		want                format
	}{
		{"", "", asProblem},
		{"", "*/*", asProblem},
		{"", browser, asHTML},
		{"", "text/html", asHTML},
		{"", "TEXT/HTML;level=1", asHTML},
		{"", "application/json", asProblem},
		{"", "application/problem+json", asProblem},
		{"", "application/json, text/plain, */*", asProblem},
		{"", "text/plain", asText},
		{"", "text/plain, */*;q=0.1", asText},
		{"", "image/png", asText},
		{"", "text/html;q=0.5, application/json", asProblem},
		{"", "text/html;q=0, */*", asProblem},
		{"", "text/*", asHTML},
		{"", "application/*;q=0.9, text/html;q=0.8", asProblem},
		{"", "text/html;q=x", asText},
		{"application/grpc", browser, asGRPC},
		{"application/grpc+proto", "", asGRPC},
		{"application/json", browser, asHTML},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header = http.Header{}
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		r.Header.Set("Content-Type", tt.contentType)
		if got := preferred(r); got != tt.want {
			t.Errorf("Accept %q, Content-Type %q: got %d, want %d", tt.accept, tt.contentType, got, tt.want)
		}
	}
}

// TestT28_PagesEscape: what a stranger chose shows as text.
func TestT28_PagesEscape(t *testing.T) {
	t.Parallel()
	for _, e := range fault.All() {
		f := fault.New(e.Code, "<script>alert(1)</script>", `"'><b>`, "x", "y")
		page := string(renderHTML(f, 502, "req_<x>"))
		if strings.Contains(page, "<script") || strings.Contains(page, "<b>") || strings.Contains(page, "<x>") || !strings.Contains(page, string(e.Code)) {
			t.Errorf("%s: %s", e.Code, page)
		}
		if strings.Contains(page, "http-equiv") || strings.Contains(page, "src=") || strings.Contains(page, "url(") {
			t.Errorf("%s: the page asks for something else", e.Code)
		}
	}
}

func TestGRPCMessage(t *testing.T) {
	t.Parallel()
	if got, want := grpcMessage("a%b\r\nü"), "a%25b%0D%0A%C3%BC"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNothingIsInvented compares what arrives at either end with what was sent
// from the other.
func TestNothingIsInvented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var request string
	w.online("http://app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
		var b strings.Builder
		for {
			line, err := br.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
			b.WriteString(line)
		}
		mu.Lock()
		request = b.String()
		mu.Unlock()
		_, _ = io.WriteString(c, "HTTP/1.1 200 Fine\r\nContent-Length: 6\r\nX-A: 1\r\nX-A: 2\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\r\n<html>")
	}), func(e *route.Endpoint) { e.ProxyProto = 0 })
	conn := w.dial(false)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
	br := bufio.NewReader(conn)
	var answer strings.Builder
	for {
		line, err := br.ReadString('\n')
		if err != nil || line == "\r\n" {
			break
		}
		answer.WriteString(line)
	}
	if want := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-A: 1\r\nX-A: 2\r\n"; answer.String() != want {
		t.Errorf("client got\n%s, want\n%s", answer.String(), want)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range []string{"GET / HTTP/1.1", "Host: app.example.com", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: app.example.com", "X-Forwarded-Proto: http"} {
		if !strings.Contains(request, line+"\r\n") {
			t.Errorf("upstream got no %q", line)
		}
	}
	if n := strings.Count(request, "\r\n"); n != 5 {
		t.Errorf("upstream got %d lines, want 5:\n%s", n, request)
	}
}

// TestNothingIsInventedOverHTTP2 is the same for HTTP/2 on both sides.
func TestNothingIsInventedOverHTTP2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"], w.Header()["Content-Length"] = nil, nil, nil
		for _, name := range []string{"User-Agent", "Accept-Encoding"} {
			if v, ok := r.Header[name]; ok {
				w.Header().Set("X-Invented", name+v[0])
			}
		}
		fmt.Fprint(w, "<html>")
	}), func(e *route.Endpoint) { e.HTTP2 = true })
	got := do(t, w.h2(), "GET", "/", nil, func(r *http.Request) { r.Header["User-Agent"] = nil })
	if len(got.Header) != 0 || got.body != "<html>" {
		t.Errorf("client got %v", got.Header)
	}
}

func TestEndpoints38_ProxyHeader(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 2; version++ {
		for _, http2 := range []bool{false, true} {
			w := newWorld(t)
			var mu sync.Mutex
			var seen []proxyproto.Header
			s := w.serve(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
			w.online("https://app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
				_, _ = br.Peek(1)
				b, _ := br.Peek(br.Buffered())
				h, n, err := proxyproto.Parse(b)
				if err != nil {
					t.Errorf("version %d: first bytes are %q: %v", version, b, err)
					return
				}
				_, _ = br.Discard(n)
				mu.Lock()
				seen = append(seen, h)
				mu.Unlock()
				to, err := s.Dial(t.Context(), wire.ProxyHeader{})
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(c, to) }()
				_, _ = io.Copy(to, br)
			}), func(e *route.Endpoint) { e.ProxyProto, e.HTTP2 = version, http2 })
			c := w.h1()
			for range 3 {
				if got := do(t, c, "GET", "/", nil); got.body != "ok" {
					t.Fatalf("version %d, http2=%v: got %d %s", version, http2, got.StatusCode, got.body)
				}
			}
			mu.Lock()
			if len(seen) != 1 || seen[0].Src.Addr() != netip.MustParseAddr(clientIP) || seen[0].Dst.Port() != 443 || seen[0].Version != version {
				t.Errorf("version %d, http2=%v: got %+v, want one header with the client's address", version, http2, seen)
			}
			mu.Unlock()
		}
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var out bytes.Buffer
	w := newWorld(t, func(c *Config) {
		c.AccessLog = slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, nil))
	})
	w.online("https://app.example.com", w.serve(echoRequest))
	c := w.h1()
	do(t, c, "POST", "/a?token=secret", strings.NewReader("abc"))
	do(t, c, "GET", "https://gone.example.com/", nil)
	do(t, c, "GET", "/", nil) // when it is answered the lines before are written
	mu.Lock()
	defer mu.Unlock()
	lines := strings.Split(out.String(), "\n")
	for i, want := range [][]string{
		{"method=POST", "host=app.example.com", "path=/a ", "status=200", "received=3", "client=203.0.113.7:", "endpoint=ep_app.example.com"},
		{"status=404", "host=gone.example.com", "code=ERR_NGROK_3200"},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d has no %q: %s", i, part, lines[i])
			}
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("the query was logged: %s", out.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
