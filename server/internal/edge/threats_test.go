package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
)

// The rows of reliability-security.md 3 that no other file has.

// TestT03_UnreadBodyIsNoRequest: what is left of a body behind an early answer
// is never parsed.
func TestT03_UnreadBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"offline":        "POST / HTTP/1.1\r\nHost: none.example.com\r\nContent-Length: %d\r\n\r\n",
		"early answer":   "POST / HTTP/1.1\r\nHost: early.example.com\r\nContent-Length: 100%d\r\n\r\n",
		"too many field": "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: %d\r\n" + strings.Repeat("X: y\r\n", 501) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), &recorder{}
			w.online("http://app.example.com", raw(t, r.serve))
			w.online("http://early.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
				_, _ = http.ReadRequest(br)
				_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			}))
			conn := w.dial(false)
			fmt.Fprintf(conn, head, len(rowHidden))
			_, _ = io.WriteString(conn, rowHidden)
			if name != "early answer" { // there the body is not over
				_ = netx.CloseWrite(conn)
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			b, err := io.ReadAll(conn)
			if n := strings.Count(string(b), "HTTP/1.1 "); n != 1 || err != nil {
				t.Errorf("%d answers, %v; want one and the end", n, err)
			}
			if len(r.seen) > 0 {
				t.Errorf("the origin saw %q", r.seen)
			}
		})
	}
}

// TestT04_BytesAreHeldUntil101: nothing behind an upgrade request reaches the
// service before it has agreed.
func TestT04_BytesAreHeldUntil101(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", overMux(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = http.ReadRequest(br)
			time.Sleep(time.Second)
			if n := br.Buffered(); n != 0 {
				t.Errorf("%d bytes came before the 101", n)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, br)
		}))
		conn := w.dial(false)
		_, _ = io.WriteString(conn, wsRequest+"early")
		br := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		wantRead(t, br, "early")
		_ = conn.Close()
	})
}

// endlessly writes until it fails.
func endlessly(c io.Writer, text string) {
	block := []byte(strings.Repeat(text, max(1, 4096/len(text))))
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// TestT07_HostileOrigins: what an origin sends too much of is refused or cut
// off, and the agent's session serves the next request.
func TestT07_HostileOrigins(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, begin, endless string
		status               int // 502, or 200 with a body that breaks off
	}{
		{"endless head", ok, "X: y\r\n", 502},
		{"endless value", ok + "X: ", "y", 502},
		{"endless status line", "HTTP/1.1 200 ", "y", 502},
		{"endless interim responses", "", "HTTP/1.1 103 Early Hints\r\n\r\n", 502},
		{"endless trailers", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "X: y\r\n", 200},
		{"endless trailer", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", "y", 200},
		{"endless extension", ok + "Transfer-Encoding: chunked\r\n\r\n1;", "y", 200},
		{"less than its length", ok + "Content-Length: 10\r\n\r\nabc", "", 200},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "", 502},
		{"unasked switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "", 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.online("https://app.example.com", overMux(t, func(c net.Conn, br *bufio.Reader) {
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				if req.URL.Path == "/good" {
					_, _ = io.WriteString(c, ok+"Content-Length: 4\r\n\r\ngood")
					return
				}
				_, _ = io.WriteString(c, tt.begin)
				if tt.endless != "" {
					endlessly(c, tt.endless)
				}
			}))
			for _, c := range []*http.Client{w.h1(), w.h2()} {
				got := do(t, c, "GET", "/", nil)
				if got.StatusCode != tt.status || tt.status == 200 && got.err == nil {
					t.Errorf("%s: got %d, %v with %d bytes; want %d and no clean end", got.Proto, got.StatusCode, got.err, len(got.body), tt.status)
				}
				if got := do(t, c, "GET", "/good", nil); got.body != "good" {
					t.Errorf("%s: the next request got %d %q", got.Proto, got.StatusCode, got.body)
				}
			}
		})
	}
}

// TestT08_HTTP2Floods: what net/http's server does about them (decision 22).
// Nothing of it reaches other connections: a request made meanwhile is served,
// and a service never sees more at once than there may be streams.
func TestT08_HTTP2Floods(t *testing.T) {
	t.Parallel()
	const (
		data, headers, priority, reset, settings, ping, goAway, windowUpdate, continuation = 0, 1, 2, 3, 4, 6, 7, 8, 9
		times                                                                              = 2000
	)
	open := func(stream uint32, flags byte) []byte { return h2Frame(headers, flags, stream, h2Get) }
	for _, tt := range []struct {
		name  string
		flood func(c io.Writer)
		ends  bool // the connection ends for certain
	}{
		{"rapid reset", func(c io.Writer) {
			for i := range uint32(times) {
				_, _ = c.Write(append(open(2*i+1, 5), h2Frame(reset, 0, 2*i+1, []byte{0, 0, 0, 8})...))
			}
		}, false},
		{"resets that we make", func(c io.Writer) { // by windows that overflow
			for i := range uint32(times) {
				_, _ = c.Write(append(open(2*i+1, 5), h2Frame(windowUpdate, 0, 2*i+1, []byte{0x7f, 0xff, 0xff, 0xff})...))
			}
		}, false},
		{"too many streams", func(c io.Writer) {
			for i := range uint32(1000) {
				_, _ = c.Write(open(2*i+1, 5))
			}
		}, false},
		{"continuation", func(c io.Writer) {
			_, _ = c.Write(open(1, 1))
			for range times {
				_, _ = c.Write(h2Frame(continuation, 0, 1, bytes.Repeat([]byte("\x00\x01x\x01y"), 200)))
			}
		}, true},
		{"pings", func(c io.Writer) {
			for range times {
				_, _ = c.Write(h2Frame(ping, 0, 0, make([]byte, 8)))
			}
		}, false},
		{"settings", func(c io.Writer) {
			for range times {
				_, _ = c.Write(h2Frame(settings, 0, 0, nil))
			}
		}, false},
		{"priorities", func(c io.Writer) {
			for range times {
				_, _ = c.Write(h2Frame(priority, 0, 3, make([]byte, 5)))
			}
		}, false},
		{"empty data", func(c io.Writer) {
			_, _ = c.Write(open(1, 4))
			for range times {
				_, _ = c.Write(h2Frame(data, 0, 1, nil))
			}
		}, false},
		{"unknown frames", func(c io.Writer) {
			for range times {
				_, _ = c.Write(h2Frame(99, 0, 0, []byte("x")))
			}
		}, false},
		{"frame larger than 16 KiB", func(c io.Writer) { _, _ = c.Write(h2Frame(data, 0, 1, make([]byte, 16<<10+1))) }, true},
		{"head that expands", func(c io.Writer) { // one indexed value of 4000 bytes, many times
			head := append([]byte{}, h2Get...)
			head = append(head, "\x40\x01x\x7f\xa1\x1e"...)
			head = append(head, strings.Repeat("v", 4000)...)
			_, _ = c.Write(h2Frame(headers, 5, 1, append(head, bytes.Repeat([]byte{0xbe}, 10_000)...)))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var now, most atomic.Int32
			w.online("https://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) {
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if r.URL.Path == "/flood" {
					<-r.Context().Done()
				}
			}))
			c := w.h2Conn()
			var wg sync.WaitGroup
			wg.Go(func() {
				tt.flood(c)
				if !tt.ends {
					_ = c.Close()
				}
			})
			wg.Go(func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }) // ends when the connection does
			for _, c := range []*http.Client{w.h1(), w.h2()} {
				wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
			}
			wg.Wait()
			wantStatus(t, do(t, w.h1(), "GET", "/", nil), 200, "")
			if n := most.Load(); n > 100+2 {
				t.Errorf("%d requests at once at the service, want no more than streams", n)
			}
		})
	}
}

// h2Get is the head of a request for /flood.
var h2Get = []byte("\x82\x87\x04\x06/flood\x01\x0fapp.example.com")

func h2Frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// TestT09_SlowClients: slow heads, bodies and readers and connections that say
// nothing are all gone after a while, and others are served meanwhile.
func TestT09_SlowClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/big" {
				_, _ = w.Write(make([]byte, 8<<20))
			}
		}))
		var wg sync.WaitGroup
		slow := func(addr, text string) {
			for range 20 {
				c := w.connect("127.0.0.1", addr)
				wg.Go(func() { drip(c, text, 1, time.Second) })
			}
		}
		post := "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 100000\r\n\r\n"
		slow(plainAddr, strings.Repeat("GET / HTTP/1.1\r\nX: y", 100))
		slow(tlsAddr, strings.Repeat("\x16\x03\x01\x02\x00\x01\x00", 100))
		slow(plainAddr, "")
		for range 20 {
			c := w.connect("127.0.0.1", plainAddr)
			_, _ = io.WriteString(c, post)
			wg.Go(func() { drip(c, strings.Repeat("x", 100_000), 1, time.Second) })
			_, _ = io.WriteString(w.connect("127.0.0.1", plainAddr), rowGet("/big"))
		}
		for range 10 {
			time.Sleep(10 * time.Second)
			c := w.h1()
			wantStatus(t, do(t, c, "GET", "http://app.example.com/", nil), 200, "")
			c.CloseIdleConnections()
		}
		time.Sleep(4 * time.Minute)
		w.srv.mu.Lock()
		if n := len(w.srv.conns); n > 0 {
			t.Errorf("%d slow connections are still open", n)
		}
		w.srv.mu.Unlock()
		wg.Wait()
	})
}

// TestT10_BadHeadersOfATrustedProxy end the connection before anybody claims
// their address; an unknown TLV and LOCAL are fine.
func TestT10_BadHeadersOfATrustedProxy(t *testing.T) {
	t.Parallel()
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	good := string(proxyproto.Append(nil, 2, netip.MustParseAddrPort("198.51.100.9:1"), netip.MustParseAddrPort("192.0.2.1:80")))
	for name, tt := range map[string]struct {
		send string
		ok   bool
	}{
		"v1 of more than 107 bytes": {"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", false},
		"v1 with words":             {"PROXY TCP4 a b c d\r\n", false},
		"v2 of 65535 bytes":         {v2 + "\x21\x11\xff\xff" + strings.Repeat("x", 65535), false},
		"v2 too short":              {v2 + "\x21\x11\x00\x01x", false},
		"v2 with another version":   {v2 + "\x31\x11\x00\x0c" + strings.Repeat("x", 12), false},
		"none":                      {"", false},
		"unknown TLV":               {good[:15] + "\x13" + good[16:] + "\xe5\x00\x04abcd", true},
		"LOCAL":                     {v2 + "\x20\x00\x00\x00", true},
	} {
		w := newWorld(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
		w.online("http://app.example.com", w.serve(echoRequest))
		c := w.connect("10.1.2.3", plainAddr)
		go func() { _, _ = io.WriteString(c, tt.send+rowGet("/")) }()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		status := make([]byte, 12)
		_, err := io.ReadFull(c, status)
		if got := string(status) == "HTTP/1.1 200"; got != tt.ok {
			t.Errorf("%s: got %q, %v; want it served: %v", name, status, err, tt.ok)
		}
		_ = c.Close()
	}
}

// TestT20_TheSocketsAddressIsLogged, whatever the request claims.
func TestT20_TheSocketsAddressIsLogged(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	w := newWorld(t, func(c *Config) { c.AccessLog = slog.New(slog.NewTextHandler(&log, nil)) })
	w.online("https://app.example.com", w.serve(echoRequest))
	do(t, w.h1(), "GET", "/", nil, header("X-Forwarded-For", "198.51.100.66"), header("Forwarded", "for=198.51.100.66"), header("X-Real-Ip", "198.51.100.66"))
	if text := log.wait("msg=request"); !strings.Contains(text, clientIP) || strings.Contains(text, "198.51.100.66") {
		t.Errorf("logged %q, want the client %s alone", text, clientIP)
	}
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// wait returns the log as soon as text is in it, or after a while.
func (s *safeBuffer) wait(text string) string {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		if strings.Contains(s.String(), text) {
			break
		}
	}
	return s.String()
}

// TestT81_FloodOfUnknownHosts leaves nothing behind: no state, and no line in
// the server's log above debug.
func TestT81_FloodOfUnknownHosts(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	w := newWorld(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	conn := w.dial(false)
	br := bufio.NewReader(conn)
	var size int64
	for i := range 500 {
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h%08d.example.com\r\n\r\n", i)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 404 {
			t.Fatalf("request %d: got %v, %v", i, resp, err)
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		if size != 0 && n != size {
			t.Errorf("request %d: answer of %d bytes, others had %d", i, n, size)
		}
		size = n
	}
	if text := log.String(); text != "" {
		t.Errorf("logged %.200q", text)
	}
	w.srv.limits.mu.Lock()
	defer w.srv.limits.mu.Unlock()
	if n := len(w.srv.limits.sources); n > 1 {
		t.Errorf("%d sources are remembered, want one", n)
	}
}

// TestT83_StackOnce: a panic is logged once, with its stack, and ends nothing
// but the exchange or connection.
func TestT83_StackOnce(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*world){
		"request": func(w *world) {
			w.online("http://app.example.com", nil)
			wantStatus(t, do(t, w.h1(), "GET", "http://app.example.com/", nil), 500, "ERR_NGROK_722")
		},
		"connection": func(w *world) {
			w.claim()
			w.online(tcpURL, nil)
			wantClosed(t, w.connect(clientIP, tcpAddr))
		},
	} {
		var log safeBuffer
		w := newWorld(t, tcpHost, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		use(w)
		text := log.wait("stack=")
		if strings.Count(text, "panic in a ") != 1 || strings.Count(text, "stack=") != 1 || !strings.Contains(text, "nil pointer") {
			t.Errorf("%s: logged %.300q, want the panic and its stack once", name, text)
		}
		w.online("https://app.example.com", w.serve(echoRequest))
		wantStatus(t, do(t, w.h1(), "GET", "/", nil), 200, "")
	}
}

// TestD03_ConnectionsAreToldToGo: an answer under way says Connection: close
// over HTTP/1, and over HTTP/2 the client gets a GOAWAY.
func TestD03_ConnectionsAreToldToGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		up := w.serve(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Second) })
		w.online("http://app.example.com", up)
		w.online("https://app.example.com", up)
		one := w.dial(false)
		_, _ = io.WriteString(one, rowGet("/"))
		two := w.h2Conn()
		_, _ = two.Write(h2Frame(1, 5, 1, h2Get))
		synctest.Wait()
		go w.srv.Drain(context.Background())
		resp, err := http.ReadResponse(bufio.NewReader(one), nil)
		if err != nil || resp.StatusCode != 200 || !resp.Close {
			t.Errorf("HTTP/1: got %v, %v; want 200 and close", resp, err)
		}
		_ = one.Close()
		var kinds []byte
		for {
			var h [9]byte
			if _, err := io.ReadFull(two, h[:]); err != nil {
				break
			}
			kinds = append(kinds, h[3])
			_, _ = io.CopyN(io.Discard, two, int64(h[0])<<16|int64(h[1])<<8|int64(h[2]))
		}
		if !bytes.Contains(kinds, []byte{7}) || !bytes.Contains(kinds, []byte{1}) {
			t.Errorf("HTTP/2: got frames %v, want GOAWAY (7) and the answer (1)", kinds)
		}
		_ = two.Close()
		time.Sleep(time.Minute)
	})
}

// countedListener counts the connections that are open.
type countedListener struct {
	net.Listener
	open *atomic.Int32
}

type countedConn struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countedConn{Conn: c, open: l.open}, nil
}

func (c *countedConn) CloseWrite() error { return netx.CloseWrite(c.Conn) }

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// TestD10_NoDescriptorOutlivesRun, however a connection was used.
func TestD10_NoDescriptorOutlivesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		t.Cleanup(func() { // runs after the world's, which ends Run
			if n := open.Load(); n != 0 {
				t.Errorf("%d connections are open after Run", n)
			}
		})
		w := newWorld(t, tcpHost, func(c *Config) {
			listen := c.Listen
			c.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
				l, err := listen(ctx, network, addr)
				return countedListener{l, &open}, err
			}
		})
		w.claim()
		w.online(tcpURL, echo(t, ""))
		w.online("http://app.example.com", overMux(t, echoSocket))
		w.online("https://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		wantEcho(t, w.connect(clientIP, tcpAddr), "x")
		w.socketTo(false)
		_, _ = w.h2Conn().Write(h2Frame(1, 5, 1, h2Get))
		w.connect(clientIP, plainAddr)
		w.connect(clientIP, tlsAddr)
		lingers := w.connect(clientIP, plainAddr)
		_, _ = io.WriteString(lingers, "POST /a%00 HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 9\r\n\r\n")
		synctest.Wait()
		if n := open.Load(); n != 6 {
			t.Errorf("%d connections are open, want 6", n)
		}
	})
}
