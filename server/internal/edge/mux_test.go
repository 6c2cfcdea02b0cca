package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// session joins the edge to an agent by a multiplexed session. The agent's end
// serves each stream with f after reading its header.
func session(t testing.TB, f func(st *mux.Stream, h wire.ProxyHeader)) dialer {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	edge, agent := mux.New(a, mux.Config{Role: mux.Server}), mux.New(b, mux.Config{Role: mux.Client})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { _ = edge.Run(ctx) })
	wg.Go(func() { _ = agent.Run(ctx) })
	wg.Go(func() {
		for {
			st, err := agent.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() {
				defer st.Close()
				var kind [4]byte
				if _, err := io.ReadFull(st, kind[:]); err != nil {
					return
				}
				h, err := wire.ReadProxyHeader(st)
				if err != nil {
					t.Error(err)
					return
				}
				f(st, h)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = edge.Close()
		_ = agent.Close()
		wg.Wait()
	})
	return func(ctx context.Context, h wire.ProxyHeader) (net.Conn, error) {
		h.Id = "bind"
		return edge.Open(ctx, h.AppendTo(nil))
	}
}

// overMux is raw over a multiplexed session.
func overMux(t testing.TB, f func(c net.Conn, br *bufio.Reader)) dialer {
	return session(t, func(st *mux.Stream, _ wire.ProxyHeader) { f(st, bufio.NewReader(st)) })
}

// TestStreamHeader: the agent hears who the client is, in the frame that opens
// the stream.
func TestStreamHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan wire.ProxyHeader, 1)
	w.online("https://app.example.com", session(t, func(st *mux.Stream, h wire.ProxyHeader) {
		got <- h
		_, _ = http.ReadRequest(bufio.NewReader(st))
		_, _ = io.WriteString(st, "HTTP/1.1 204 No Content\r\n\r\n")
	}))
	wantStatus(t, do(t, w.h1(), "GET", "/", nil), 204, "")
	h := <-got
	if host, _, err := net.SplitHostPort(h.ClientAddr); host != clientIP || err != nil || h.Proto != "https" || h.EdgeType != "0" || h.PassthroughTLS {
		t.Errorf("got %+v", h)
	}
}

// TestBusyAgent: a stream that the agent had no room for is opened again, also
// for methods that are not safe, since nothing was done with it.
func TestBusyAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	streams := 0
	w.online("https://app.example.com", session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
		mu.Lock()
		streams++
		n := streams
		mu.Unlock()
		if n < 3 {
			st.Reset(frame.AcceptQueueFull)
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(st))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(st, "HTTP/1.1 204 No Content\r\n\r\n")
	}))
	wantStatus(t, do(t, w.h1(), "POST", "/", http.NoBody), 204, "")
	if streams != 3 {
		t.Errorf("%d streams, want 3", streams)
	}
}

// TestH04_AbortIsFINThenRST: when the client vanishes, the agent's blocked
// reader wakes at once, and further writes are refused.
func TestH04_AbortWakesTheAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, ended := make(chan struct{}), make(chan error, 1)
	w.online("https://app.example.com", session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
		br := bufio.NewReader(st)
		_, _ = http.ReadRequest(br)
		close(asked)
		_, _ = br.ReadByte()
		for {
			if _, err := st.Write(make([]byte, 1000)); err != nil {
				ended <- err
				return
			}
		}
	}))
	conn := w.dial(true)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
	<-asked
	_ = conn.Close()
	select {
	case err := <-ended:
		if se, ok := errors.AsType[*mux.StreamError](err); !ok || se.Code != frame.StreamCancelled || !se.Remote {
			t.Errorf("the agent saw %v, want a reset with code %d", err, frame.StreamCancelled)
		}
	case <-time.After(10 * time.Second):
		t.Error("the agent saw nothing")
	}
}

// TestH17_StreamOpensWithTheRequest: agents wait 3 s for the head of a request,
// however slow the client is. They get the stream with all of it at once.
func TestH17_StreamOpensWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		opened := make(chan string, 1)
		w.online("http://app.example.com", session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
			first := make([]byte, 64<<10)
			n, err := st.Read(first)
			if err != nil {
				t.Errorf("the agent reads: %v", err)
			}
			opened <- string(first[:n])
			_, _ = io.WriteString(st, "HTTP/1.1 204 No Content\r\n\r\n")
		}))
		conn := w.dial(false)
		defer conn.Close()
		for _, part := range []string{"GET / HTTP/1.1\r\nHost: app.", "example.com\r\nX-Long: " + strings.Repeat("x", 4000), "\r\n"} {
			_, _ = io.WriteString(conn, part)
			time.Sleep(2 * time.Second)
			if len(opened) > 0 {
				t.Fatalf("a stream was opened after %.40q", part)
			}
		}
		_, _ = io.WriteString(conn, "\r\n")
		if head := <-opened; !strings.HasSuffix(head, "\r\n\r\n") {
			t.Errorf("the agent reads %d bytes first, which end with %.40q; want the whole head", len(head), head[max(0, len(head)-40):])
		}
	})
}

// TestT05_UnaskedResponse: a response on a kept stream that nobody asked for
// goes to nobody.
func TestT05_UnaskedResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("https://app.example.com", session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
			br := bufio.NewReader(st)
			for i := 0; ; i++ {
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				_, _ = io.WriteString(st, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
				if i == 0 {
					time.Sleep(time.Second) // until the stream is idle
					_, _ = io.WriteString(st, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
				}
			}
		}))
		c := w.h1()
		for range 3 {
			if got := do(t, c, "GET", "/", nil); got.body != "good" {
				t.Errorf("got %q", got.body)
			}
			time.Sleep(2 * time.Second)
		}
		c.CloseIdleConnections()
	})
}

func BenchmarkRequestOverMux(b *testing.B) {
	w := newWorld(b)
	w.online("http://app.example.com", overMux(b, func(c net.Conn, br *bufio.Reader) {
		page := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nDate: x\r\nServer: y\r\nContent-Length: 1024\r\n\r\n" + string(make([]byte, 1024)))
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			if _, err := c.Write(page); err != nil {
				return
			}
		}
	}))
	conn := w.dial(false)
	br := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = br.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := br.Discard(1024); err != nil {
			b.Fatal(err)
		}
	}
}

// nullWriter is a ResponseWriter that costs nothing.
type nullWriter struct{ h http.Header }

func (n *nullWriter) Header() http.Header         { return n.h }
func (n *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (n *nullWriter) WriteHeader(int)             {}

// BenchmarkHandler is the handler alone, without net/http's server and with an
// upstream that answers at once.
func BenchmarkHandler(b *testing.B) {
	w := newWorld(b)
	w.online("http://app.example.com", raw(b, func(c net.Conn, br *bufio.Reader) {
		page := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1024\r\n\r\n" + string(make([]byte, 1024)))
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = c.Write(page)
		}
	}))
	cc := &clientConn{scheme: "http", port: 80}
	ctx := context.WithValue(b.Context(), connKey{}, cc)
	nw := &nullWriter{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		r.Host = "app.example.com"
		clear(nw.h)
		w.srv.handler.ServeHTTP(nw, r)
	}
	cc.upstreams.Close()
}
