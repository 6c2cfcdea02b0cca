package h1_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// TestServer_BodyEndsWithItsExchange: a goroutine that a handler has left with
// the body reads nothing any more once Serve has returned, whose buffers may
// then be those of another client.
func TestServer_BodyEndsWithItsExchange(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		client, server := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		defer client.Close()
		defer server.Close()
		type result struct {
			n   int
			err error
		}
		got := make(chan result, 1)
		s := h1.Server{MaxHead: 64 << 10, MaxFields: 100, MaxTrailer: 1 << 10, MaxTrailerFields: 10, Logger: slog.New(slog.DiscardHandler)}
		s.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			first := make([]byte, 3)
			_, _ = io.ReadFull(r.Body, first)
			go func() {
				n, err := io.ReadFull(r.Body, make([]byte, 8))
				got <- result{n, err}
			}()
		})
		go func() { _, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: h\r\n"+framing+"\r\n\r\n8\r\nabc") }()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		if rest := s.Serve(t.Context(), server, &phases{}); rest != nil {
			t.Errorf("left %q", rest)
		}
		_, _ = io.WriteString(client, "defghijk\r\n")
		if r := <-got; r.n != 0 || r.err == nil {
			t.Errorf("%s: read %d bytes, %v behind the exchange; want an error", framing, r.n, r.err)
		}
	}
}

// TestServer_ClientGoesInABody: the context ends with the connection, and not
// when somebody stops the reading.
func TestServer_ClientGoesInABody(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		ended := make(chan bool, 1)
		c, done := serve(t, h1.Server{}, func(w http.ResponseWriter, r *http.Request) {
			if stopped {
				_ = http.NewResponseController(w).SetReadDeadline(aLongTimeAgo)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			ended <- r.Context().Err() != nil
		})
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
		if !stopped {
			_ = c.Close()
		} else {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		if got := <-ended; got == stopped {
			t.Errorf("stopped %v: the context has ended: %v", stopped, got)
		}
		<-done
	}
}

var aLongTimeAgo = time.Unix(1, 0)
