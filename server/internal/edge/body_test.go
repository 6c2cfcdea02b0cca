package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/server/internal/route"
)

// TestEarlyResponse: the answer to an upload arrives although the client reads
// nothing before it has sent everything, over a connection that the edge would
// otherwise reset.
func TestEarlyResponseToLargeUpload(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	upstreams := map[string]dialer{
		"closes": raw(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		}),
		"reads on": raw(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n")
			_, _ = io.Copy(io.Discard, br)
		}),
		"closes, chunked": raw(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n")
		}),
	}
	for name, up := range upstreams {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d", size), "Transfer-Encoding: chunked"} {
			t.Run(name+", "+framing, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.online("app.example.com", up)
				conn := w.dial(true)
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.example.com\r\n%s\r\n\r\n", framing)
				block := []byte(strings.Repeat("x", 1<<20))
				for range size >> 20 {
					if strings.HasPrefix(framing, "Transfer") {
						fmt.Fprintf(conn, "%x\r\n", len(block))
					}
					if _, err := conn.Write(block); err != nil {
						t.Fatalf("the upload was broken off: %v", err)
					}
					if strings.HasPrefix(framing, "Transfer") {
						_, _ = io.WriteString(conn, "\r\n")
					}
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != 413 || string(body) != "big" || err != nil || !resp.Close {
					t.Errorf("got %d %q close=%v %v, want 413 big close=true", resp.StatusCode, body, resp.Close, err)
				}
			})
		}
	}
	t.Run("offline endpoint", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		conn := w.dial(true)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := io.Copy(conn, io.LimitReader(strings.NewReader(strings.Repeat("x", size)), size)); err != nil {
			t.Fatalf("the upload was broken off: %v", err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 404 {
			t.Errorf("got %v, %v; want 404", resp, err)
		}
	})
}

// TestEarlyResponseAtOnce: the answer comes while the upload stands still, in
// HTTP/1 and HTTP/2, from HTTP/1 and HTTP/2.
func TestEarlyResponseAtOnce(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 10))
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "no")
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			body, feed := io.Pipe()
			go func() { _, _ = feed.Write(make([]byte, 100<<10)) }()
			got := do(t, c, "POST", "/", body)
			_ = feed.Close()
			if got.StatusCode != 403 || got.body != "no" || got.err != nil {
				t.Errorf("%s to http2=%v: got %d %q %v", name, http2, got.StatusCode, got.body, got.err)
			}
		}
	}
}

// TestUpstreamFailsDuringUpload: the client gets a page although it is still
// sending.
func TestUpstreamFailsDuringUpload(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("https://app.example.com", raw(t, func(_ net.Conn, br *bufio.Reader) {
			_, _ = io.CopyN(io.Discard, br, 10_000)
		}), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			body, feed := io.Pipe()
			go func() { _, _ = feed.Write(make([]byte, 100<<10)) }()
			got := do(t, c, "POST", "/", body)
			_ = feed.Close()
			if got.StatusCode != 502 || got.Header.Get("Ngrok-Error-Code") == "" || got.err != nil {
				t.Errorf("%s to http2=%v: got %d %v %.100s", name, http2, got.StatusCode, got.err, got.body)
			}
		}
	}
}

// TestTruncatedResponse: what the upstream cut short never looks whole.
func TestTruncatedResponse(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"garbage": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloxxx\r\n",
	} {
		w := newWorld(t)
		w.online("app.example.com", answer(t, text))
		for proto, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			got := do(t, c, "GET", "/", nil)
			if got.err == nil || got.body != "hello" {
				t.Errorf("%s over %s: got %q, %v; want hello and an error", name, proto, got.body, got.err)
			}
		}
	}
}

// TestF10_ClientVanishes: the upstream hears of it.
func TestF10_ClientVanishes(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"waiting for an answer": "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
		"mid-upload":            "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 100000\r\n\r\nabc",
		"mid-download":          "GET /down HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			got, ended := make(chan struct{}), make(chan error, 1)
			w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
				req, err := http.ReadRequest(br)
				if err != nil {
					ended <- err
					return
				}
				if req.URL.Path == "/down" {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
				}
				close(got)
				_, err = io.Copy(io.Discard, br)
				ended <- err
			}))
			conn := w.dial(true)
			_, _ = io.WriteString(conn, text)
			<-got
			if strings.Contains(name, "down") {
				_, _ = conn.Read(make([]byte, 1000))
			}
			_ = conn.Close()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the upstream still waits")
			}
		})
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/no" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			b, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, len(b))
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			name = fmt.Sprintf("%s to http2=%v", name, http2)
			if got := do(t, c, "POST", "/", strings.NewReader("abc"), header("Expect", "100-continue")); got.body != "3" {
				t.Errorf("%s: got %d %q", name, got.StatusCode, got.body)
			}
		}
		read := false
		got := do(t, w.h1(), "POST", "/no", readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF }), header("Expect", "100-continue"))
		if got.StatusCode != 403 || read {
			t.Errorf("http2=%v: got %d, body read: %v; want 403 and no body sent", http2, got.StatusCode, read)
		}
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("app.example.com", w.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			fmt.Fprint(w, "x")
		})), func(e *route.Endpoint) { e.HTTP2 = http2 })
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			var hints []string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			}})
			got := do(t, c, "GET", "/", nil, func(r *http.Request) { *r = *r.WithContext(ctx) })
			if fmt.Sprint(hints) != "[103</a.css>]" && fmt.Sprint(hints) != "[103 </a.css>]" || got.body != "x" || got.Header.Get("Link") != "" {
				t.Errorf("%s to http2=%v: got hints %q, final %v", name, http2, hints, got.Header)
			}
		}
	}
}

// TestBodyless: answers without a body keep their fields and get none.
func TestBodyless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			switch req.URL.Path {
			case "/204":
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
			case "/304":
				_, _ = io.WriteString(c, "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 7\r\n\r\n")
			default:
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
			}
		}
	}))
	for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		for i := range 3 { // several on one connection: nothing is left over
			if got := do(t, c, "GET", "/204", nil); got.StatusCode != 204 || got.Header.Get("X-A") != "b" || got.body != "" {
				t.Errorf("%s %d: 204: got %d %v", name, i, got.StatusCode, got.Header)
			}
			if got := do(t, c, "GET", "/304", nil); got.StatusCode != 304 || got.Header.Get("Etag") != `"x"` || got.body != "" {
				t.Errorf("%s %d: 304: got %d %v", name, i, got.StatusCode, got.Header)
			}
			if got := do(t, c, "HEAD", "/", nil); got.StatusCode != 200 || got.ContentLength != 7 || got.body != "" {
				t.Errorf("%s %d: HEAD: got %d length %d", name, i, got.StatusCode, got.ContentLength)
			}
		}
	}
}

// TestIdleUpstreamIsDropped: a kept connection is closed long before common
// servers' limits.
func TestIdleUpstreamIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ended := make(chan time.Time, 1)
		w.online("app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_, _ = br.ReadByte()
			ended <- time.Now()
		}))
		start := time.Now()
		c := w.h1()
		wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
		if d := (<-ended).Sub(start); d != idleUpstream {
			t.Errorf("closed after %v, want %v", d, idleUpstream)
		}
		c.CloseIdleConnections()
	})
}

func TestSilentUpstream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("app.example.com", raw(t, func(_ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) }))
		c := w.h1()
		start := time.Now()
		wantStatus(t, do(t, c, "GET", "/", nil), 504, "ERR_NGROK_3008")
		if d := time.Since(start); d != 5*time.Minute {
			t.Errorf("gave up after %v, want 5m", d)
		}
		c.CloseIdleConnections()
	})
}

func TestLingerIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		pause time.Duration
		want  time.Duration
	}{{"silent client", time.Hour, lingerIdle}, {"dripping client", time.Second, lingerTime}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				far, near := net.Pipe()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				go func() {
					for ctx.Err() == nil {
						if _, err := far.Write([]byte("x")); err != nil {
							return
						}
						select {
						case <-time.After(tt.pause):
						case <-ctx.Done():
						}
					}
				}()
				start := time.Now()
				_ = lingerClose(halfCloser{near})
				if d := time.Since(start); d != tt.want {
					t.Errorf("lingered %v, want %v", d, tt.want)
				}
			})
		})
	}
}

type halfCloser struct{ net.Conn }

func (halfCloser) CloseWrite() error { return nil }

// TestIdleExchange: a connection on which nothing moves any more is closed,
// one on which something moves is not, however slowly.
func TestIdleExchange(t *testing.T) {
	t.Parallel()
	serve := func(pause time.Duration, times int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.(http.Flusher).Flush()
			for range times {
				select {
				case <-time.After(pause):
				case <-r.Context().Done():
					return
				}
				fmt.Fprint(w, "x")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}
	}
	tests := []struct {
		name     string
		upload   time.Duration // pause between bytes of the request, 0: no body
		download time.Duration
		times    int
		from, to time.Duration
	}{
		{"slow download", 0, 4 * time.Minute, 10, 45 * time.Minute, 47 * time.Minute},
		{"stalled upload", time.Hour, time.Hour, 0, 5 * time.Minute, 7 * time.Minute},
		{"slow upload, silent download", 4 * time.Minute, time.Hour, 0, 60 * time.Minute, 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.online("https://app.example.com", w.serve(serve(tt.download, tt.times)), func(e *route.Endpoint) { e.HTTP2 = true })
				var body io.Reader
				start := time.Now()
				if tt.upload > 0 {
					body = readerFunc(func(p []byte) (int, error) {
						time.Sleep(tt.upload)
						if time.Since(start) > time.Hour {
							return 0, io.EOF
						}
						p[0] = 'x'
						return 1, nil
					})
				}
				c := w.h1()
				got := do(t, c, "POST", "/", body)
				if d := time.Since(start); got.err == nil || d < tt.from || d > tt.to {
					t.Errorf("ended after %v with %v, want an error between %v and %v", d, got.err, tt.from, tt.to)
				}
				c.CloseIdleConnections()
				time.Sleep(2 * time.Hour)
			})
		})
	}
}
