package edge

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestD03_DrainLetsWorkFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost)
		w.claim()
		w.online(tcpURL, echo(t, ""))
		release := make(chan struct{})
		w.online("https://app.example.com", w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			<-release
			_, _ = io.WriteString(rw, "done")
		}))
		tcp := w.connect(clientIP, tcpAddr)
		wantEcho(t, tcp, "x")
		idle := w.connect(clientIP, plainAddr)
		_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
		wantRead(t, idle, "HTTP/1.1 307")
		replies := make(chan reply, 2)
		for _, c := range []*http.Client{w.h1(), w.h2()} {
			go func() { replies <- do(t, c, "GET", "/", nil) }()
		}
		synctest.Wait()

		start := time.Now()
		drained := make(chan time.Duration)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			w.srv.Drain(ctx)
			drained <- time.Since(start)
		}()
		synctest.Wait()
		for _, addr := range []string{plainAddr, tlsAddr, tcpAddr} {
			if c, err := w.net.Dial(t.Context(), "tcp", addr); err == nil {
				_ = c.Close()
				t.Errorf("%s still accepts", addr)
			}
		}
		if err := w.srv.Claim(20002); err == nil {
			t.Error("a port was opened while draining")
		}
		if _, err := io.ReadAll(idle); err != nil {
			t.Errorf("idle connection: %v, want it closed", err)
		}
		wantEcho(t, tcp, "still here")
		time.Sleep(5 * time.Second)
		close(release)
		for range 2 {
			if r := <-replies; r.StatusCode != 200 || r.body != "done" {
				t.Errorf("%s: got %d %q", r.Proto, r.StatusCode, r.body)
			}
		}
		time.Sleep(5 * time.Second)
		_ = tcp.Close()
		if d := <-drained; d < 10*time.Second || d > 12*time.Second {
			t.Errorf("drained after %v, want soon after the last connection's end at 10s", d)
		}
	})
}

// TestD05_LastCall: a POST that comes on a kept connection just as the server
// begins to drain is answered, and told that it was the last one.
func TestD05_LastCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "done")
		}))
		const post = "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 2\r\n\r\nhi"
		kept, idle := w.connect(clientIP, plainAddr), w.connect(clientIP, plainAddr)
		in := bufio.NewReader(kept)
		ask := func() *http.Response {
			t.Helper()
			_, _ = io.WriteString(kept, post)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "done" {
				t.Fatalf("got %q, %v", b, err)
			}
			return resp
		}
		if resp := ask(); resp.Close {
			t.Error("a connection ends while nobody drains")
		}
		_, _ = io.WriteString(idle, post)
		wantRead(t, idle, "HTTP/1.1 200")
		synctest.Wait()

		start := time.Now()
		drained := make(chan struct{})
		go func() { defer close(drained); w.srv.Drain(context.Background()) }()
		synctest.Wait()
		if resp := ask(); !resp.Close {
			t.Error("the last answer does not say so")
		}
		if _, err := in.ReadByte(); err != io.EOF { //nolint:errorlint // the reader's own value
			t.Errorf("behind the last answer: %v, want EOF", err)
		}
		if _, err := io.ReadAll(idle); err != nil {
			t.Errorf("idle connection: %v, want it closed", err)
		}
		<-drained
		if d := time.Since(start); d > time.Second {
			t.Errorf("drained after %v, want soon after the last call", d)
		}
	})
}

func TestD03_DrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost)
		w.claim()
		w.online(tcpURL, echo(t, ""))
		w.online("http://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		tcp := w.connect(clientIP, tcpAddr)
		wantEcho(t, tcp, "x")
		busy := w.connect(clientIP, plainAddr)
		_, _ = io.WriteString(busy, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
		silent := w.connect(clientIP, tlsAddr)
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		w.srv.Drain(ctx)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("returned after %v, want 30s", d)
		}
		for name, c := range map[string]io.Reader{"tcp": tcp, "busy": busy, "silent": silent} {
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%s: still open", name)
			}
		}
	})
}

func TestD10_NothingOutlivesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// synctest fails the test if a goroutine is left when it ends.
		w := newWorld(t, tcpHost)
		w.claim()
		w.online(tcpURL, echo(t, ""))
		w.online("https://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		wantEcho(t, w.connect(clientIP, tcpAddr), "x")
		w.connect(clientIP, tlsAddr)
		w.connect(clientIP, plainAddr)
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://app.example.com/", nil)
			if resp, err := w.h2().Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
		synctest.Wait()
	})
}

func TestDrainBeforeRun(t *testing.T) {
	t.Parallel()
	New(Config{}).Drain(t.Context())
}

func TestLingeringConnectionIsClosedByDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(clientIP, tlsAddr)
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n") // lingers behind its 400
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.srv.Drain(ctx)
		if d := time.Since(start); d > time.Second {
			t.Errorf("drained after %v", d)
		}
	})
}
