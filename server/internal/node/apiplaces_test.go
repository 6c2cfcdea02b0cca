package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
)

// serveHalf serves an API of few places, whose handler takes the key "good", and waits on /wait until the request is
// given up.
func serveHalf(t *testing.T, places int) (addr string, waiting <-chan struct{}) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan struct{}, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "good" {
			proven(r.Context())
		}
		if r.URL.Path == "/wait" {
			reached <- struct{}{}
			<-r.Context().Done()
		}
		fmt.Fprint(w, "served")
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveAPI(ctx, ln, newAPIPlaces(places), nil, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serveAPI = %v", err)
		}
	})
	return ln.Addr().String(), reached
}

// send opens a connection and sends a text on it.
func send(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, text) // who had to make way finds out when it reads
	return c
}

// ask sends a request on a connection and returns what comes back, or why nothing does.
func ask(c net.Conn, key string) (string, error) {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: api\r\nAuthorization: %s\r\n\r\n", key); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// TestT73_HalfRequestsKeepNobodyOut: many connections that never send the end of a request's head take all places,
// and a client is served on a new connection each time.
func TestT73_HalfRequestsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	addr, _ := serveHalf(t, 16)
	for i := range 200 {
		send(t, addr, "GET / HTTP/1.1\r\nHost: api\r\nAuthoriz")
		if i%10 != 0 {
			continue
		}
		if got, err := ask(send(t, addr, ""), "good"); err != nil || got != "served" {
			t.Fatalf("beside %d half requests: got %q, %v", i+1, got, err)
		}
	}
}

// TestT73_RequestsUnderWayStay: who has shown a valid key and waits for an answer keeps the place; who comes when all
// have done so waits for one that ends.
func TestT73_RequestsUnderWayStay(t *testing.T) {
	t.Parallel()
	addr, reached := serveHalf(t, 2)
	first := send(t, addr, "GET /wait HTTP/1.1\r\nHost: api\r\nAuthorization: good\r\n\r\n")
	<-reached
	second := send(t, addr, "GET /wait HTTP/1.1\r\nHost: api\r\nAuthorization: good\r\n\r\n")
	<-reached
	third := send(t, addr, "")
	for range 50 {
		send(t, addr, "GET / HT")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = third // the first that waits gets the place, and makes way for those behind it
	if got, err := ask(send(t, addr, ""), "good"); err != nil || got != "served" {
		t.Fatalf("when a place is free: got %q, %v", got, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhichConnectionMakesWay(t *testing.T) {
	t.Parallel()
	few, many := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	for name, tt := range map[string]struct {
		open []apiConn
		want uint64 // number, 0 for none
	}{
		"the oldest":                   {[]apiConn{{number: 2}, {number: 1}}, 1},
		"of the source that has most":  {[]apiConn{{number: 1, source: few}, {number: 2, source: many}, {number: 3, source: many}}, 2},
		"without a key before idle":    {[]apiConn{{number: 1, proven: true}, {number: 2}}, 2},
		"idle before being answered":   {[]apiConn{{number: 1, active: true}, {number: 2, proven: true}}, 2},
		"being answered without a key": {[]apiConn{{number: 1, active: true}, {number: 2, active: true, proven: true}}, 1},
		"all in use":                   {[]apiConn{{number: 1, active: true, proven: true}}, 0},
	} {
		p := newAPIPlaces(len(tt.open))
		for i := range tt.open {
			p.open[&tt.open[i]] = struct{}{}
		}
		var got uint64
		if c := p.dispensable(); c != nil {
			got = c.number
		}
		if got != tt.want {
			t.Errorf("%s: connection %d makes way, want %d", name, got, tt.want)
		}
	}
}
