package edge

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/route"
)

// metered are meters, and what came together in them by endpoint.
type metered struct {
	*meter.Meters

	all map[string]meter.Counts
}

func newMetered() *metered { return &metered{meter.New(), map[string]meter.Counts{}} }

// count is an option of an endpoint.
func (m *metered) count(e *route.Endpoint) { e.Meters = m.Meters }

// of returns what an endpoint has counted so far.
func (m *metered) of(id string) meter.Counts {
	m.Collect(func(e meter.Endpoint, since meter.Counts) {
		sum := m.all[e.ID]
		sum.Add(since)
		m.all[e.ID] = sum
	})
	return m.all[id]
}

// want waits until an endpoint has counted what it has to: bytes are counted once they are written, and so may have
// been read before.
func (m *metered) want(t testing.TB, id string, want meter.Counts) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for m.of(id) != want {
		select {
		case <-tick.C:
		case <-late:
			t.Errorf("%s counted %+v, want %+v", id, m.of(id), want)
			return
		}
	}
}

// tallied is a client's connection that counts what it reads.
type tallied struct {
	net.Conn

	n atomic.Int64
}

func (c *tallied) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// talliedService answers requests over a session, and counts what reaches it.
func talliedService(t testing.TB, answer string) (route.Upstream, *atomic.Int64) {
	n := &atomic.Int64{}
	return session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
		br := bufio.NewReader(&talliedReader{st, n})
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if _, err := io.WriteString(st, answer); err != nil {
				return
			}
		}
	}), n
}

type talliedReader struct {
	io.Reader

	n *atomic.Int64
}

func (r *talliedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

func TestMeterHTTP(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS=%v", secure), func(t *testing.T) {
			t.Parallel()
			w, m := newWorld(t, tcpHost), newMetered()
			up, received := talliedService(t, "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n"+strings.Repeat("x", 40000))
			url := "http://app.example.com"
			if secure {
				url = app
			}
			w.online(url, up, m.count)
			c := &tallied{Conn: w.connect(clientIP, plainAddr)}
			var conn net.Conn = c
			if secure {
				c = &tallied{Conn: w.connect(clientIP, tlsAddr)}
				conn = tls.Client(c, &tls.Config{RootCAs: w.roots, ServerName: "app.example.com"})
			}
			br := bufio.NewReader(conn)
			const requests = 5
			for range requests {
				if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 20000\r\n\r\n"+strings.Repeat("y", 20000)); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != 40000 || err != nil {
					t.Fatalf("read %d bytes of the body, %v", n, err)
				}
			}
			m.want(t, "ep_app.example.com", meter.Counts{Requests: requests, Out: c.n.Load() + received.Load()})
			if least := int64(requests * 60000); received.Load()+c.n.Load() < least {
				t.Errorf("counted %d and %d bytes, want %d at least", received.Load(), c.n.Load(), least)
			}
		})
	}
}

func TestMeterConnections(t *testing.T) {
	t.Parallel()
	w, m := newWorld(t, tcpHost), newMetered()
	w.claim()
	for url, id := range map[string]string{tcpURL: "ep_example.com", "tls://db.example.com": "ep_db.example.com"} {
		w.online(url, echo(t, "hi"), m.count)
		var want int64
		for i := range 2 {
			c := &tallied{}
			var conn net.Conn = c
			if id == "ep_example.com" {
				c.Conn = w.connect(clientIP, tcpAddr)
			} else {
				c.Conn = w.connect(clientIP, tlsAddr)
				hello := &helloOnly{Conn: c.Conn}
				_ = tls.Client(hello, &tls.Config{ServerName: "db.example.com", RootCAs: w.roots}).Handshake() // it ends without an answer
				if _, err := c.Conn.Write(hello.sent); err != nil {
					t.Fatal(err)
				}
				wantRead(t, conn, "hi"+string(hello.sent))
				want += int64(len(hello.sent)) // to the agent
			}
			if id == "ep_example.com" {
				wantRead(t, conn, "hi")
			}
			text := strings.Repeat("z", 50000)
			done := make(chan error, 1)
			go func() { _, err := io.WriteString(conn, text); done <- err }()
			wantRead(t, conn, text)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			want += int64(len(text)) + c.n.Load()
			// It counts while it is open.
			m.want(t, id, meter.Counts{Connections: int64(i + 1), Out: want})
		}
	}
}

// helloOnly keeps what is written, and gives nothing back.
type helloOnly struct {
	net.Conn

	sent []byte
}

func (c *helloOnly) Write(p []byte) (int, error) { c.sent = append(c.sent, p...); return len(p), nil }
func (c *helloOnly) Read([]byte) (int, error)    { return 0, io.EOF }

func TestMeterWebSocket(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		w, m := newWorld(t, tcpHost), newMetered()
		var received atomic.Int64
		url := "http://app.example.com"
		if secure {
			url = app
		}
		w.online(url, session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
			br := bufio.NewReader(&talliedReader{st, &received})
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(st, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ")
			_, _ = io.Copy(st, br)
		}), m.count)
		c := &tallied{Conn: w.connect(clientIP, plainAddr)}
		var conn net.Conn = c
		if secure {
			c = &tallied{Conn: w.connect(clientIP, tlsAddr)}
			conn = tls.Client(c, &tls.Config{RootCAs: w.roots, ServerName: "app.example.com"})
		}
		br := bufio.NewReader(conn)
		if _, err := io.WriteString(conn, wsRequest); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %v, %v", resp, err)
		}
		wantRead(t, br, "hello ")
		frame := "\x81\x85\x00\x00\x00\x00world" // masked with zeros
		if _, err := io.WriteString(conn, frame); err != nil {
			t.Fatal(err)
		}
		wantRead(t, br, frame)
		m.want(t, "ep_app.example.com", meter.Counts{Requests: 1, Out: c.n.Load() + received.Load()})
	}
}

// What the policy answers counts, what goes on to internal endpoints counts once, for the endpoint that was asked for,
// and each member of a pool counts by itself (api.md 5).
func TestMeterDefinitions(t *testing.T) {
	t.Parallel()
	w, m := newWorld(t, tcpHost), newMetered()
	up, received := talliedService(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	w.online("http://svc.internal", up, inside, m.count)
	w.online("http://outer.example.com", refused(t), m.count, governed(t, forwards("http://svc.internal")))
	w.online("http://answered.example.com", refused(t), m.count, governed(t, "on_http_request: [{actions: [{type: act, config: {status: 200, body: hi}}]}]"))
	for _, id := range []string{"ep_one", "ep_two"} {
		w.online("http://pool.example.com", up, m.count, func(e *route.Endpoint) { e.ID = id })
	}
	w.online("http://*.wild.example.com", up, m.count)
	c := w.h1()
	for _, url := range []string{"http://outer.example.com", "http://answered.example.com", "http://pool.example.com", "http://a.wild.example.com", "http://b.wild.example.com"} {
		for range 2 {
			wantStatus(t, do(t, c, "GET", url, nil), 200, "")
		}
	}
	for id, requests := range map[string]int64{
		"ep_outer.example.com": 2, "ep_answered.example.com": 2, "ep_one": 1, "ep_two": 1, "ep_*.wild.example.com": 4, "ep_svc.internal": 0,
	} {
		got := m.of(id)
		if got.Requests != requests || got.Connections != 0 {
			t.Errorf("%s counted %+v, want %d requests", id, got, requests)
		}
		if id == "ep_svc.internal" && got.Out != 0 {
			t.Errorf("the internal endpoint counted %d bytes", got.Out)
		}
	}
	if got := m.of("ep_outer.example.com").Out; got < received.Load()/8 {
		t.Errorf("the endpoint in front counted %d bytes, and %d were sent to the agent for all", got, received.Load())
	}
}

// limited gives the endpoints' account limits.
func (m *metered) limited(edit func(l *meter.Limits)) {
	l := meter.NoLimits()
	edit(&l)
	m.SetLimits("", l, meter.Counts{}, time.Now())
}

func TestEndpoints41_RateOfConnections(t *testing.T) {
	t.Parallel()
	const most = 10
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		w, m := newWorld(t, tcpHost), newMetered()
		m.limited(func(l *meter.Limits) { l.ConnectionsPerMinute = most })
		w.online(app, w.serve(seen), m.count)
		kept := w.h1()
		for range 1000 { // on one connection
			if r := do(t, kept, "GET", "/", nil); r.StatusCode != 200 {
				t.Fatalf("got %d on a kept connection", r.StatusCode)
			}
		}
		for range most - 1 {
			wantStatus(t, do(t, w.h1(), "GET", "/", nil), 200, "")
		}
		for _, c := range []*http.Client{w.h1(), w.h2()} {
			r := do(t, c, "GET", "/", nil)
			wantStatus(t, r, 429, string(fault.ConnectionRateQuota))
			if r.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			if r.ProtoMajor == 1 && !r.Close {
				t.Error("the refused connection stays open")
			}
		}
		wantStatus(t, do(t, kept, "GET", "/", nil), 200, "")
	})
	t.Run("TCP", func(t *testing.T) {
		t.Parallel()
		w, m := newWorld(t, tcpHost), newMetered()
		m.limited(func(l *meter.Limits) { l.ConnectionsPerMinute = most })
		w.claim()
		w.online(tcpURL, echo(t, ""), m.count)
		addr := tcpAddr
		var first net.Conn
		for range most {
			first = w.connect(clientIP, addr)
			wantEcho(t, first, "hello")
		}
		wantClosed(t, w.connect(clientIP, addr))
		wantEcho(t, first, "still here")
		if got := m.of("ep_example.com").Connections; got != most {
			t.Errorf("counted %d connections, want %d", got, most)
		}
	})
}

func TestQuotasOfTraffic(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit func(l *meter.Limits)
		code  fault.Code
	}{
		"requests of a month":  {func(l *meter.Limits) { l.RequestsPerMonth = 2 }, fault.RequestsQuota},
		"requests of a minute": {func(l *meter.Limits) { l.RequestsPerMinute = 2 }, fault.RequestRateQuota},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m := newWorld(t, tcpHost), newMetered()
			m.limited(tt.limit)
			w.online(app, w.serve(seen), m.count)
			c := w.h2()
			for range 2 {
				wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
			}
			for range 2 {
				r := do(t, c, "GET", "/", nil)
				wantStatus(t, r, 429, string(tt.code))
				if r.Header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
			}
			if got := m.of("ep_app.example.com").Requests; got != 2 {
				t.Errorf("counted %d requests, want 2", got)
			}
		})
	}
}
