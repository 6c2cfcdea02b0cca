package suites_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/edge"
)

// stops are clients that stop in the middle of what they send or get.
var stops = map[string]string{
	"head":     "GET / HTTP/1.1\r\nHost: %s\r\nX-Slow: a",
	"body":     "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 4096\r\n\r\nhalf",
	"response": "GET /-X HTTP/1.1\r\nHost: %s\r\n\r\n",
}

// TestT09_NormalClientAmongSlowOnes: hundreds of clients that stop in the middle of a head, of a body or of a response
// cost a client that does not none of its requests, and all of them are cut off.
func TestT09_NormalClientAmongSlowOnes(t *testing.T) {
	t.Parallel()
	const each, requests = 60, 100 // of each kind on each listener
	w := start(t, edge.Limits{HeadTimeout: 6 * time.Second, IdleTimeout: 6 * time.Second})
	up := &slowUpstream{page: make([]byte, slowPage)}
	upURL := web(t, up)
	w.forward(t, "https://"+name, upURL)
	w.forward(t, "http://"+name, upURL)
	type slowClient struct {
		net.Conn
		kind string
	}
	var slow []slowClient
	for kind, text := range stops {
		for range each {
			for _, c := range []net.Conn{dialHTTP(t, w), dialHTTPS(t, w)} {
				if _, err := fmt.Fprintf(c, text, name); err != nil {
					t.Fatalf("slow %s: %v", kind, err)
				}
				slow = append(slow, slowClient{c, kind})
			}
		}
	}
	c := w.client(t)
	for _, url := range []string{w.httpURL(), w.httpsURL()} {
		for i := range requests {
			if err := get(t, c, url); err != nil {
				t.Errorf("request %d of the normal client: %v", i, err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// Reading would make them clients that are not slow.
	if !up.wait(ctx, 2*each) {
		t.Errorf("slow response: %d of %d were cut off within a minute", up.ended.Load(), 2*each)
	}
	var all sync.WaitGroup
	for _, c := range slow {
		all.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("slow %s: still open after a minute, when it has got %d bytes", c.kind, n)
			}
		})
	}
	all.Wait()
}

func dialHTTP(t *testing.T, w *world) net.Conn {
	t.Helper()
	return dial(t, new(net.Dialer).DialContext, w.Info.HTTP)
}

func dialHTTPS(t *testing.T, w *world) net.Conn {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: w.CAs, ServerName: name, MinVersion: tls.VersionTLS12}}
	return dial(t, d.DialContext, w.Info.HTTPS)
}

func dial(t *testing.T, d func(context.Context, string, string) (net.Conn, error), a net.Addr) net.Conn {
	t.Helper()
	c, err := d(t.Context(), "tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// get makes a request and reads the answer, which has to be the small page.
func get(t *testing.T, c *http.Client, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(text) != "ok\n") {
		err = fmt.Errorf("got %s %q, want 200 \"ok\\n\"", resp.Status, text)
	}
	return err
}
