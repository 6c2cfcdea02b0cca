package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// TestD5_OneBoundForAllWhoWait: requests and connections wait under one limit.
func TestD5_OneBoundForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost, func(c *Config) { c.StartedAt, c.Limits.Waiting = time.Now(), 1 })
		w.claim()
		tcp := w.connect(clientIP, tcpAddr)
		synctest.Wait()
		c, start := w.h1(), time.Now()
		if got := do(t, c, "GET", "http://app.example.com/", nil); got.StatusCode != http.StatusNotFound || time.Since(start) != 0 {
			t.Errorf("beside a connection that waits: got %d after %v, want 404 at once", got.StatusCode, time.Since(start))
		}
		wantClosed(t, tcp)
		start = time.Now()
		if got := do(t, c, "GET", "http://app.example.com/", nil); got.StatusCode != http.StatusNotFound || time.Since(start) != returnWait {
			t.Errorf("alone: got %d after %v, want 404 after %v", got.StatusCode, time.Since(start), returnWait)
		}
		c.CloseIdleConnections()
	})
}

// TestD5_NoWaitForARedirectThatNeverComes: a plain request waits for an https
// endpoint only on the port where it would be sent there.
func TestD5_NoWaitForARedirectThatNeverComes(t *testing.T) {
	t.Parallel()
	const extra = "127.0.0.1:8080"
	for addr, want := range map[string]time.Duration{plainAddr: returnWait, extra: 0} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Extra = []ExtraListener{{Scheme: endpoint.HTTP, Addr: extra, Port: 8080}} })
			w.expecting(w.online("https://app.example.com", refused(t)))
			conn, start := w.connect(clientIP, addr), time.Now()
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
			resp, err := http.ReadResponse(newReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); resp.StatusCode != http.StatusNotFound || d != want {
				t.Errorf("%s: got %d after %v, want 404 after %v", addr, resp.StatusCode, d, want)
			}
			_ = conn.Close()
		})
	}
}

// TestD5_WaitEndsWithTheServer: who waits does not hold up a shutdown.
func TestD5_WaitEndsWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.StartedAt = time.Now() })
		c, start := w.h1(), time.Now()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if got := do(t, c, "GET", "http://app.example.com/", nil); got.StatusCode != http.StatusNotFound || time.Since(start) != 0 {
				t.Errorf("got %d after %v, want 404 at once", got.StatusCode, time.Since(start))
			}
		}()
		synctest.Wait()
		w.srv.Drain(t.Context())
		<-answered
	})
}

// ended is an upstream whose session is over while the table still shows it.
func ended(context.Context, wire.ProxyHeader) (net.Conn, error) {
	return nil, fault.New(fault.AgentUnreachable, "the endpoint")
}

// TestF01_NewRequestsGoToTheOtherMember: a session that ended a moment ago costs
// no request that was not sent to it.
func TestF01_NewRequestsGoToTheOtherMember(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost)
		w.claim()
		lost := w.online("https://app.example.com", dialer(ended))
		up := w.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") })
		w.online("https://app.example.com", up)
		gone := w.online("tcp://example.com:20001", dialer(ended))
		greets := w.online("tcp://example.com:20001", raw(t, func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "hi") }))
		defer w.offline(greets)
		time.AfterFunc(time.Millisecond, func() { w.offline(lost); w.offline(gone) })
		c := w.h1()
		for range 4 {
			if got := do(t, c, "POST", "/", strings.NewReader("once")); got.StatusCode != 200 || got.body != "other" {
				t.Errorf("got %d %q, want 200 from the other member", got.StatusCode, got.body)
			}
		}
		c.CloseIdleConnections()
		conn := w.connect(clientIP, tcpAddr)
		if b, err := io.ReadAll(conn); string(b) != "hi" {
			t.Errorf("tcp: got %q, %v, want what the other member says", b, err)
		}
	})
}

// TestF01_NobodyElse: the only member's session has ended and no agent comes.
func TestF01_NobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("https://app.example.com", dialer(ended))
		c := w.h1()
		wantStatus(t, do(t, c, "GET", "/", nil), http.StatusBadGateway, string(fault.AgentUnreachable))
		c.CloseIdleConnections()
	})
}
