package h1_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/server/internal/h1"
)

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestRequestBodyFails: what the server has got so far never looks whole.
func TestRequestBodyFails(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, length := range []int64{100, 1 << 20, -1} {
		c, srv := pair(t, h1.Config{})
		req := get("/")
		req.Method, req.ContentLength = "POST", length
		req.Body = io.MultiReader(strings.NewReader("abc"), failing{boom})
		_, err := c.RoundTrip(t.Context(), req)
		if h1.KindOf(err) != h1.RequestBody || !errors.Is(err, boom) {
			t.Errorf("length %d: got %v, want kind request body, cause boom", length, err)
		}
		c.Abort()
		seen, err := http.ReadRequest(bufio.NewReader(srv))
		if err != nil {
			continue // a small body is read before anything is sent
		}
		if got, err := io.ReadAll(seen.Body); err == nil {
			t.Errorf("length %d: the server read a whole body: %q", length, got)
		}
	}
}

// TestStopBodyMayEndTheContext: the error is the one from before.
func TestStopBodyMayEndTheContext(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(srv))
		_ = srv.Close()
	}()
	ctx, cancel := context.WithCancel(t.Context())
	body, feed := io.Pipe()
	req := get("/")
	req.Method, req.Body, req.ContentLength = "POST", body, -1
	req.StopBody = func() {
		cancel()
		_ = feed.CloseWithError(io.ErrClosedPipe)
	}
	if _, err := c.RoundTrip(ctx, req); h1.KindOf(err) != h1.Closed {
		t.Errorf("got %v, want kind closed", err)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	t.Run("asked for", func(t *testing.T) {
		t.Parallel()
		c, srv := pair(t, h1.Config{ContinueWait: time.Hour})
		got := make(chan string, 1)
		go func() {
			br := bufio.NewReader(srv)
			req, err := http.ReadRequest(br)
			if err != nil || req.Header.Get("Expect") != "100-continue" {
				got <- "no Expect"
				return
			}
			_, _ = io.WriteString(srv, "HTTP/1.1 100 Continue\r\n\r\n")
			b, _ := io.ReadAll(req.Body)
			got <- string(b)
			_, _ = io.WriteString(srv, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}()
		req := get("/")
		req.Method, req.Body, req.ContentLength, req.Expect = "POST", strings.NewReader("abc"), 3, true
		resp, err := c.RoundTrip(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if b := <-got; b != "abc" {
			t.Errorf("server got %q", b)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		c, srv := pair(t, h1.Config{ContinueWait: time.Hour})
		go func() {
			_, _ = http.ReadRequest(bufio.NewReader(srv))
			_, _ = io.WriteString(srv, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
		}()
		req := get("/")
		req.Method, req.ContentLength, req.Expect = "POST", 3, true
		req.Body = failing{errors.New("the body must not be read")}
		resp, err := c.RoundTrip(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 417 || c.Reusable() {
			t.Errorf("got %d, reusable %v; want 417, false", resp.StatusCode, c.Reusable())
		}
	})
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, srv := pair(t, h1.Config{})
			script(t, srv, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			req := get("/")
			req.Method, req.Body, req.ContentLength, req.Expect = "POST", strings.NewReader("abc"), 3, true
			start := time.Now()
			resp, err := c.RoundTrip(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if waited := time.Since(start); waited != time.Second {
				t.Errorf("body held back for %v, want 1s", waited)
			}
		})
	})
}

// interimFunc is an h1.Interim made of a function.
type interimFunc func(code int, h http.Header)

func (f interimFunc) Interim(code int, h http.Header) { f(code, h) }

func TestInterim(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	script(t, srv, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	var seen []string
	req := get("/")
	req.Interim = interimFunc(func(code int, h http.Header) { seen = append(seen, http.StatusText(code)+h.Get("Link")) })
	resp, err := c.RoundTrip(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(seen) != 1 || seen[0] != "Early Hints</a>" {
		t.Errorf("got %q, want the early hints alone", seen)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	go func() {
		br := bufio.NewReader(srv)
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(srv, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nfirst ")
		_, _ = io.Copy(srv, br)
		_ = srv.Close()
	}()
	req := get("/")
	req.Upgrade = "websocket"
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := resp.Body.(*h1.Switched)
	if !ok {
		t.Fatalf("body is a %T", resp.Body)
	}
	conn, head := s.Take()
	cancel() // no longer matters
	if _, err := conn.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	rest, err := io.ReadAll(conn)
	if err != nil || string(head)+string(rest) != "first echo" {
		t.Errorf("got %q + %q, %v", head, rest, err)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	record := errors.New("a record")
	cfg := h1.Config{Foreign: func(b []byte) (error, bool) {
		switch {
		case len(b) < 4:
			return nil, true
		case string(b[:4]) == "\x00REC":
			return record, false
		}
		return nil, false
	}}
	for raw, want := range map[string]bool{"\x00REC": true, "\x00REX": false, "\x00R": false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": false} {
		c, srv := pair(t, cfg)
		script(t, srv, raw)
		_, err := c.RoundTrip(t.Context(), get("/"))
		if got := errors.Is(err, record); got != want {
			t.Errorf("%q: got %v", raw, err)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	cause := errors.New("client went away")
	t.Run("before the response", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, srv := pair(t, h1.Config{})
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := c.RoundTrip(ctx, get("/"))
			if h1.KindOf(err) != h1.Canceled || !errors.Is(err, cause) {
				t.Errorf("got %v, want kind canceled", err)
			}
			if _, err := io.ReadAll(srv); err != nil {
				t.Errorf("the server did not see the end: %v", err)
			}
		})
	})
	t.Run("inside the body", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, srv := pair(t, h1.Config{})
			go func() {
				_, _ = http.ReadRequest(bufio.NewReader(srv))
				_, _ = io.WriteString(srv, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
			}()
			ctx, cancel := context.WithCancelCause(context.Background())
			resp, err := c.RoundTrip(ctx, get("/"))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { cancel(cause) })
			body, err := io.ReadAll(resp.Body)
			if string(body) != "he" || h1.KindOf(err) != h1.Canceled {
				t.Errorf("got %q, %v; want he, kind canceled", body, err)
			}
			_ = resp.Body.Close()
		})
	})
}

func TestIdle(t *testing.T) {
	t.Parallel()
	t.Run("silence ends it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, _ := pair(t, h1.Config{})
			start := time.Now()
			_, err := c.RoundTrip(context.Background(), get("/"))
			if h1.KindOf(err) != h1.Timeout || time.Since(start) != 5*time.Minute {
				t.Errorf("got %v after %v, want kind timeout after 5m", err, time.Since(start))
			}
		})
	})
	t.Run("an upload keeps it open", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, srv := pair(t, h1.Config{})
			script(t, srv, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			body, feed := io.Pipe()
			go func() {
				for range 10 {
					time.Sleep(2 * time.Minute)
					_, _ = feed.Write([]byte("x"))
				}
				_ = feed.Close()
			}()
			req := get("/")
			req.Method, req.Body, req.ContentLength = "POST", body, -1
			resp, err := c.RoundTrip(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		})
	})
	t.Run("slow responses keep it open", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, srv := pair(t, h1.Config{})
			go func() {
				_, _ = http.ReadRequest(bufio.NewReader(srv))
				_, _ = io.WriteString(srv, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
				for range 10 {
					time.Sleep(4 * time.Minute)
					_, _ = io.WriteString(srv, "x")
				}
			}()
			resp, err := c.RoundTrip(context.Background(), get("/"))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 10 {
				t.Errorf("got %q, %v", b, err)
			}
			_ = resp.Body.Close()
		})
	})
}
