package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/route"
)

// recorder is an origin that notes the requests that reach it whole, and what
// does not look like one.
type recorder struct {
	mu   sync.Mutex
	seen []string
	bad  []string
}

func (r *recorder) serve(c net.Conn, br *bufio.Reader) {
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				r.note(&r.bad, err.Error())
			}
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // broken off: nobody takes it for a request
		}
		r.note(&r.seen, fmt.Sprintf("%s %s %q %v", req.Method, req.RequestURI, body, req.Trailer))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (r *recorder) note(to *[]string, s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, s)
}

// TestT01_OneClientMessageIsOneUpstreamMessage sends the rows of
// reliability-security.md 4. Whatever is refused never reaches the origin as a
// request; whatever is served reaches it once, in one reading.
func TestT01_OneClientMessageIsOneUpstreamMessage(t *testing.T) {
	t.Parallel()
	const host = "Host: app.example.com\r\n"
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct {
		id, raw string
		status  int      // of the first answer, 0 for none
		seen    []string // requests at the origin
	}{
		{"H01 length and chunks", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, 200, []string{`POST /a "" map[]`}},
		{"H02 two lengths", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + hidden, 400, nil},
		{"H02 list of lengths", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\nhello", 400, nil},
		{"H03 equal lengths", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, []string{`POST /a "hello" map[]`}},
		{"H04 plus", "POST /a HTTP/1.1\r\n" + host + "Content-Length: +2\r\n\r\nab", 400, nil},
		{"H04 minus", "POST /a HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\nab", 400, nil},
		{"H04 hexadecimal", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 0x2\r\n\r\nab", 400, nil},
		{"H04 underscore", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 1_0\r\n\r\n0123456789", 400, nil},
		{"H04 empty", "POST /a HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400, nil},
		{"H04 too large", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 9223372036854775808\r\n\r\n", 400, nil},
		{"H05 space before the colon", "POST /a HTTP/1.1\r\n" + host + "Content-Length : 2\r\n\r\nab", 400, nil},
		{"H06 other coding", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, nil},
		{"H06 list of codings", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, nil},
		{"H06 chunked twice", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, nil},
		{"H08 empty size", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n" + hidden, 400, nil},
		{"H08 17 digits", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n00000000000000002\r\nab\r\n0\r\n\r\n", 400, nil},
		{"H08 data too long", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400, nil},
		{"H09 bare LF", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", 400, nil},
		{"H09 LF in extension", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2;\nx\r\nab\r\n0\r\n\r\n", 400, nil},
		{"H10 long extension", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 5000) + "\r\nab\r\n0\r\n\r\n", 400, nil},
		{"H10 extension is not forwarded", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\n\r\n", 200, []string{`POST /a "ab" map[]`}},
		{"H11 forbidden trailer", "POST /a HTTP/1.1\r\n" + host + "Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nHost: evil\r\nContent-Length: 7\r\nAuthorization: x\r\n\r\n", 200, []string{`POST /a "" map[X-A:[1]]`}},
		{"H11 forbidden trailer announced", "POST /a HTTP/1.1\r\n" + host + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil},
		{"H12 bare LF ends lines", "GET /a HTTP/1.1\nHost: app.example.com\n\n", 200, []string{`GET /a "" map[]`}},
		{"H13 CR in a value", "GET /a HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", 400, nil},
		{"H13 NUL in a value", "GET /a HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", 400, nil},
		{"H15 first line begins with space", "GET /a HTTP/1.1\r\n " + host + "\r\n", 400, nil},
		{"H15 no colon", "GET /a HTTP/1.1\r\n" + host + "X\r\n\r\n", 400, nil},
		{"H15 empty name", "GET /a HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400, nil},
		{"H22 HTTP/2.0 as text", "GET /a HTTP/2.0\r\n" + host + "\r\n", 505, nil},
		{"H22 HTTP/1.1x", "GET /a HTTP/1.1x\r\n" + host + "\r\n", 400, nil},
		{"H23 unknown expectation", "POST /a HTTP/1.1\r\n" + host + "Expect: x\r\nContent-Length: 2\r\n\r\nab", 417, nil},
		{"H25 pipelined", "GET /a HTTP/1.1\r\n" + host + "\r\nGET /b HTTP/1.1\r\n" + host + "\r\n", 200, []string{`GET /a "" map[]`, `GET /b "" map[]`}},
		{"H25 bytes behind a 400", "GET /a#b HTTP/1.1\r\n" + host + "\r\n" + hidden, 400, nil},
		{"T03 body of a refused request", "POST /a#b HTTP/1.1\r\n" + host + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, 400, nil},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), &recorder{}
			w.online("http://app.example.com", raw(t, r.serve))
			conn := w.dial(false)
			_, _ = io.WriteString(conn, tt.raw)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			br := bufio.NewReader(conn)
			answers := max(1, len(tt.seen))
			for i := range answers {
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				if i == 0 && resp.StatusCode != tt.status {
					t.Errorf("got %d, want %d", resp.StatusCode, tt.status)
				}
				if tt.status >= 400 && !resp.Close && tt.status != 501 {
					t.Error("the connection stays open after a refusal")
				}
			}
			if tt.status != 200 {
				if b, err := io.ReadAll(br); errors.Is(err, os.ErrDeadlineExceeded) || len(b) > 0 {
					t.Errorf("after the refusal came %q, %v", b, err)
				}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if fmt.Sprint(r.seen) != fmt.Sprint(tt.seen) || len(r.bad) > 0 {
				t.Errorf("origin saw %q and garbage %q, want %q", r.seen, r.bad, tt.seen)
			}
		})
	}
}

// overTCP makes the edge listen on loopback.
func overTCP(c *Config) {
	c.Listen, c.HTTPAddr, c.HTTPSAddr = nil, "127.0.0.1:0", ""
}

func (w *world) dialTCP() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.srv.Addrs()[0].Addr.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestTruncatedForHTTP10: a client that takes the end of the connection for
// the end of the answer gets a reset instead.
func TestTruncatedForHTTP10(t *testing.T) {
	t.Parallel()
	w := newWorld(t, overTCP)
	w.online("http://app.example.com", answer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
	conn := w.dialTCP()
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n")
	b, err := io.ReadAll(conn)
	if err == nil {
		t.Errorf("got a clean end after %q", b)
	}
}

// TestEndpoints22_WebSocketOverSockets takes the path on which the session
// writes into the client's socket itself.
func TestEndpoints22_WebSocketOverSockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, overTCP)
	w.online("http://app.example.com", overMux(t, echoSocket))
	conn := w.dialTCP()
	_, _ = io.WriteString(conn, wsRequest+"early ")
	br := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v", resp, err)
	}
	big := strings.Repeat("0123456789", 100_000)
	go func() {
		_, _ = io.WriteString(conn, big)
		_ = conn.(netx.CloseWriter).CloseWrite()
	}()
	if got, err := io.ReadAll(br); string(got) != "hello early "+big || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestEarlyResponseOverSockets is the early answer with real resets possible:
// a client that reads only after it has sent everything gets it whole.
func TestEarlyResponseOverSockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, overTCP)
	w.online("http://app.example.com", overMux(t, func(c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
	}))
	conn := w.dialTCP()
	const size = 64 << 20
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: %d\r\n\r\n", size)
	block := make([]byte, 1<<20)
	for range size / len(block) {
		if _, err := conn.Write(block); err != nil {
			t.Fatalf("the upload was broken off: %v", err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if b, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(b) != "big" || err != nil {
		t.Errorf("got %d %q %v", resp.StatusCode, b, err)
	}
}

// TestMixedPool: a race may leave endpoints online that may not share a URL.
// Two bindings of one endpoint, as in a reconnect, are no such mix.
func TestMixedPool(t *testing.T) {
	t.Parallel()
	for id, status := range map[string]int{"ep_other": 500, "ep_app.example.com": 200} {
		w := newWorld(t)
		up := w.serve(echoRequest)
		w.online("https://app.example.com", up)
		w.online("https://app.example.com", up, func(e *route.Endpoint) { e.ID, e.Pooled = id, false })
		for range 4 {
			got := do(t, w.h1(), "GET", "/", nil)
			if code := got.Header.Get("Ngrok-Error-Code"); got.StatusCode != status || status == 500 && code != string(fault.MixedPool) {
				t.Errorf("%s: got %d %s, want %d", id, got.StatusCode, code, status)
			}
		}
	}
}
