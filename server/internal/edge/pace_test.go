package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/route"
)

// drip sends text one piece of n bytes every pause until the connection fails
// or the text is out.
func drip(c io.Writer, text string, n int, pause time.Duration) {
	for len(text) > 0 {
		m := min(n, len(text))
		if _, err := io.WriteString(c, text[:m]); err != nil {
			return
		}
		text = text[m:]
		time.Sleep(pause)
	}
}

// TestLimit_HeadFloor: a head that comes at less than 500 bytes a second after
// 5 s is answered 408, with TLS or without; one that does is served.
func TestLimit_HeadFloor(t *testing.T) {
	t.Parallel()
	head := "GET / HTTP/1.1\r\nHost: app.example.com\r\nX: " + strings.Repeat("x", 30_000) + "\r\n\r\n"
	for _, tt := range []struct {
		name   string
		perSec int
		status int
		by     time.Duration
	}{
		{"slow", 10, 408, 10 * time.Second},
		{"nearly fast enough", 400, 408, 40 * time.Second},
		{"fast enough", 600, 200, time.Minute},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					up := answer(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
					w.online("http://app.example.com", up)
					w.online("https://app.example.com", up)
					if secure && tt.perSec != 10 {
						return // records have bytes of their own
					}
					c := w.dial(secure)
					start := time.Now()
					go drip(c, head, tt.perSec, time.Second)
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					if d := time.Since(start); resp.StatusCode != tt.status || d > tt.by || tt.status == 408 && !resp.Close {
						t.Errorf("got %d after %v, want %d within %v", resp.StatusCode, d, tt.status, tt.by)
					}
					_ = c.Close()
					time.Sleep(2 * time.Second) // for drip
				})
			})
		}
	}
}

// TestLimit_HeadTimeout: no head takes longer than 60 s, at whatever rate, and
// a connection without a first byte ends without an answer.
func TestLimit_HeadTimeout(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"": "", "HTTP/1.1 408": "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 60_000)} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c := w.dial(false)
			start := time.Now()
			go drip(c, text, 700, time.Second)
			b, _ := io.ReadAll(c)
			if d := time.Since(start); !strings.HasPrefix(string(b), name) || name == "" && len(b) > 0 || d < 59*time.Second || d > 62*time.Second {
				t.Errorf("got %.40q after %v, want %q after 60s", b, d, name)
			}
			_ = c.Close()
			time.Sleep(2 * time.Second) // for drip
		})
	}
}

// TestLimit_HeadFloorSparesKeptConnections: silence between requests is no slow
// head, and neither is a slow body.
func TestLimit_HeadFloorSparesKeptConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", w.serve(echoRequest))
		c := w.dial(false)
		br := bufio.NewReader(c)
		for range 3 {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 20\r\n\r\n")
			drip(c, strings.Repeat("x", 20), 1, time.Second)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			time.Sleep(4 * time.Minute)
		}
		_ = c.Close()
	})
}

// TestLimit_BodyFloor: a body that comes at less than 240 bytes a second for a
// minute is refused, small or large, over HTTP/1 and HTTP/2; the connection of
// HTTP/2 goes on. A faster one, one of gRPC, and one beside a response that has
// begun are not.
func TestLimit_BodyFloor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		size, perS  int
		contentType string
		early       bool
		status      int
	}{
		{"small and slow", 4000, 5, "", false, 408},
		{"large and slow", 40_000, 100, "", false, 408},
		{"silent", 100_000, 0, "", false, 408},
		{"fast enough", 100_000, 300, "", false, 200},
		{"grpc", 10_000, 20, "application/grpc", false, 200},
		{"conversation", 10_000, 20, "", true, 200},
	} {
		for _, proto := range []string{"h1", "h2"} {
			t.Run(tt.name+" "+proto, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.online("https://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
						if tt.early {
							_ = http.NewResponseController(w).EnableFullDuplex()
							w.(http.Flusher).Flush()
						}
						if _, err := io.Copy(io.Discard, r.Body); err != nil {
							panic(http.ErrAbortHandler) // else its answer may come before the edge's
						}
						w.WriteHeader(200)
					}), func(e *route.Endpoint) { e.HTTP2 = tt.early })
					c := map[string]*http.Client{"h1": w.h1(), "h2": w.h2()}[proto]
					body, feed := io.Pipe()
					go func() {
						defer feed.Close()
						if tt.perS == 0 {
							time.Sleep(10 * time.Minute)
						}
						drip(feed, strings.Repeat("x", tt.size), max(tt.perS, 1), time.Second)
					}()
					start := time.Now()
					got := do(t, c, "POST", "/", body, func(r *http.Request) {
						r.ContentLength = int64(tt.size)
						r.Header.Set("Content-Type", tt.contentType)
					})
					_ = body.Close()
					d := time.Since(start)
					if got.StatusCode != tt.status || tt.status == 408 && (d < time.Minute || d > 3*time.Minute) || got.err != nil {
						t.Errorf("got %d after %v, %v; want %d", got.StatusCode, d, got.err, tt.status)
					}
					if tt.status == 408 && got.Header.Get("Ngrok-Error-Code") != string(fault.RequestTimeout) {
						t.Errorf("got code %q", got.Header.Get("Ngrok-Error-Code"))
					}
					c.CloseIdleConnections()
					time.Sleep(15 * time.Minute)
				})
			})
		}
	}
}

// TestLimit_WriteFloor: a client that takes a response at less than 240 bytes a
// second is cut off after a minute; one that is merely slow is not, and neither
// is one whose response comes slowly.
func TestLimit_WriteFloor(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	up := func(t *testing.T) dialer {
		return raw(t, func(c net.Conn, br *bufio.Reader) {
			if req, err := http.ReadRequest(br); err == nil && req.URL.Path == "/slow" {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
				drip(c, strings.Repeat("x", 20), 1, 20*time.Second)
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		})
	}
	for _, tt := range []struct {
		name, path string
		perSec     int
		whole      bool
	}{{"stalled", "/", 0, false}, {"slow", "/", 50, false}, {"fast enough", "/", 2000, true}, {"slow service", "/slow", 1000, true}} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.online("http://app.example.com", up(t))
					w.online("https://app.example.com", up(t))
					c := w.dial(secure)
					fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: app.example.com\r\n\r\n", tt.path)
					start := time.Now()
					buf := make([]byte, max(1, tt.perSec))
					var read int
					var err error
					for err == nil && read < size && time.Since(start) < 30*time.Minute && (tt.path == "/" || read < 20) {
						var n int
						if tt.perSec > 0 {
							n, err = c.Read(buf)
						}
						read += n
						time.Sleep(time.Second)
						w.srv.mu.Lock()
						if len(w.srv.conns) == 0 {
							err = io.ErrClosedPipe
						}
						w.srv.mu.Unlock()
					}
					if d := time.Since(start); tt.whole != (err == nil) || !tt.whole && (d < time.Minute || d > 10*time.Minute) {
						t.Errorf("after %v: %d bytes, %v", d, read, err)
					}
					_ = c.Close()
				})
			})
		}
	}
}

// TestLimit_WriteFloorOfOneStream: the other streams of an HTTP/2 connection go
// on when one is cut off.
func TestLimit_WriteFloorOfOneStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("https://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/big" {
				_, _ = w.Write(make([]byte, 64<<20))
			}
		}))
		c := w.h2()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://app.example.com/big", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			time.Sleep(time.Minute)
			wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
		}
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("all of %d bytes came to a client that read nothing for 10 min", n)
		}
		_ = resp.Body.Close()
		c.CloseIdleConnections()
	})
}

// TestLimit_UnreadAnswers: a client that asks again and again and reads nothing
// is cut off after the idle time, although no answer is larger than a buffer.
func TestLimit_UnreadAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", w.serve(echoRequest))
		c := w.dial(false)
		start := time.Now()
		for time.Since(start) < time.Hour {
			if _, err := io.WriteString(c, rowGet("/"+strings.Repeat("a", 1000))); err != nil {
				break
			}
		}
		if d := time.Since(start); d > 6*time.Minute {
			t.Errorf("cut off after %v, want about 5m", d)
		}
	})
}

// TestLimit_KeepAlive: a connection waits 5 min for its next request, and 1 min
// while more than half of the places are taken.
func TestLimit_KeepAlive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		others   int
		from, to time.Duration
	}{{"room", 1, 5 * time.Minute, 5 * time.Minute}, {"more than half", 3, time.Minute, 80 * time.Second}} {
		for _, proto := range []string{"http/1.1", "h2"} {
			t.Run(tt.name+" "+proto, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, func(c *Config) { c.Limits.Connections = 6; c.Limits.HeadTimeout = time.Hour })
					w.online("https://app.example.com", w.serve(echoRequest))
					for range tt.others {
						w.connect(clientIP, plainAddr)
					}
					c := w.client(protocols(proto != "h2", proto == "h2", false))
					wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
					start := time.Now()
					open := func() int {
						w.srv.mu.Lock()
						defer w.srv.mu.Unlock()
						return len(w.srv.conns)
					}
					for open() > tt.others && time.Since(start) < time.Hour {
						time.Sleep(time.Second)
					}
					if d := time.Since(start); d < tt.from-time.Second || d > tt.to+2*time.Second {
						t.Errorf("closed after %v, want %v to %v", d, tt.from, tt.to)
					}
					c.CloseIdleConnections()
				})
			})
		}
	}
}

// TestLimit_Interim: an upstream that sends interim responses without end is
// given up after ten, over HTTP/1 and HTTP/2.
func TestLimit_Interim(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t)
		w.online("https://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
			n := 10
			if r.URL.Path == "/more" {
				n = 11
			}
			for range n {
				w.Header().Set("Link", "</a>")
				w.WriteHeader(http.StatusEarlyHints)
			}
		}), func(e *route.Endpoint) { e.HTTP2 = http2 })
		wantStatus(t, do(t, w.h1(), "GET", "/", nil), 200, "")
		wantStatus(t, do(t, w.h1(), "GET", "/more", nil), 502, string(fault.UpstreamInvalid))
	}
}

// TestLimit_Trailers of requests: 100 fields, and 64 KiB. The service never sees
// a whole request.
func TestLimit_Trailers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := make(chan bool, 10)
	w.online("https://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err == nil
	}))
	for _, tt := range []struct {
		name       string
		n, size    int
		wantStatus int
	}{
		{"few", 10, 10, 200},
		{"too many", 101, 1, 400},
		{"large", 1, 3 << 10, 200},
		{"too large", 10, 10 << 10, 400},
	} {
		for proto, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			got := do(t, c, "POST", "/", io.MultiReader(strings.NewReader("x")), func(r *http.Request) {
				r.Trailer = http.Header{}
				for i := range tt.n {
					r.Trailer.Set(fmt.Sprintf("X-%d", i), strings.Repeat("v", tt.size))
				}
			})
			if got.StatusCode != tt.wantStatus {
				t.Errorf("%s over %s: got %d, want %d", tt.name, proto, got.StatusCode, tt.wantStatus)
			}
			select {
			case ok := <-whole:
				if ok != (tt.wantStatus == 200) {
					t.Errorf("%s over %s: whole request: %v", tt.name, proto, ok)
				}
			default:
				if tt.wantStatus == 200 {
					t.Errorf("%s over %s: the service was not asked", tt.name, proto)
				}
			}
		}
	}
}

// TestLimit_Configured: the limits of heads are those of the configuration.
func TestLimit_Configured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Limits.Fields, c.Limits.Name, c.Limits.Value, c.Limits.Cookies, c.Limits.Requests = 10, 20, 30, 2, 3
	})
	w.online("https://app.example.com", w.serve(echoRequest))
	c := w.h1()
	for name, value := range map[string]string{
		"X-" + strings.Repeat("y", 20): "", "X-Long": strings.Repeat("v", 31), "Cookie": "a; b; c",
	} {
		wantStatus(t, do(t, c, "GET", "/", nil, header(name, value)), 431, string(fault.HeaderTooLarge))
	}
	for i, last := range []bool{false, false, true} {
		if got := do(t, c, "GET", "/", nil); got.StatusCode != 200 || got.Close != last {
			t.Errorf("request %d: got %d, the last %v, want %v", i+1, got.StatusCode, got.Close, last)
		}
	}
}
