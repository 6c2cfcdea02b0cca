package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/route"
)

// recorder is an origin that notes the requests that reach it whole, and what
// is not one byte for byte.
type recorder struct {
	mu   sync.Mutex
	seen []string
	bad  []string
}

func (r *recorder) serve(c net.Conn, br *bufio.Reader) {
	for {
		head, err := strictHead(br)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			r.note(&r.bad, err.Error())
			return
		}
		br = bufio.NewReader(io.MultiReader(strings.NewReader(head), br))
		req, err := http.ReadRequest(br)
		if err != nil {
			r.note(&r.bad, err.Error())
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

// strictHead reads a request head and fails unless there is but one way to
// read it: tokens, one colon without white space before it, CRLF, one host, and
// at most one framing.
func strictHead(br *bufio.Reader) (string, error) {
	var head strings.Builder
	count := map[string]int{}
	for first := true; ; first = false {
		line, err := br.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return "", fmt.Errorf("line %.100q", line)
		}
		switch name, value, colon := strings.Cut(text, ":"); {
		case first:
			if f := strings.Split(text, " "); len(f) != 3 || f[2] != "HTTP/1.1" || f[1] != "*" && !strings.HasPrefix(f[1], "/") {
				return "", fmt.Errorf("request line %.100q", line)
			}
		case text == "":
			if count["host"] != 1 || count["content-length"]+count["transfer-encoding"] > 1 {
				return "", fmt.Errorf("fields %v", count)
			}
			return head.String(), nil
		case !colon || name == "" || strings.ContainsAny(name, " \t\"(),/:;<=>?@[\\]{}"):
			return "", fmt.Errorf("field %.100q", line)
		default:
			count[strings.ToLower(name)]++
			if strings.EqualFold(name, "transfer-encoding") && value != " chunked" {
				return "", fmt.Errorf("coding %.100q", line)
			}
		}
	}
}

// FuzzT01_OneClientMessageIsOneUpstreamMessage: whatever a client sends, the
// origin sees nothing but requests that can be read in one way only, and no
// more of them than there are answers.
func FuzzT01_OneClientMessageIsOneUpstreamMessage(f *testing.F) {
	for _, s := range []string{
		rowGet("/a") + rowGet("/b"),
		rowPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + rowHidden,
		rowChunks + "2;x\r\nab\r\n0\r\nX-A: b\r\n\r\n" + rowHidden,
		rowPost + "Content-Length: 44\r\nX: a\r\n b\r\n\r\n" + rowHidden,
		"GET http://app.example.com/a HTTP/1.0\nHost: x\nConnection: keep-alive, Host\n\n",
		wsRequest + rowHidden,
		rowPost + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab" + rowGet("/c"),
		"HEAD / HTTP/1.1\r\n" + rowHost + "Te: trailers\r\nConnection: te, close\r\n\r\n" + rowHidden,
	} {
		f.Add([]byte(s))
	}
	w, r := newWorld(f), &recorder{}
	w.online("http://app.example.com", raw(f, r.serve))
	f.Fuzz(func(t *testing.T, b []byte) {
		r.mu.Lock()
		r.seen, r.bad = nil, nil
		r.mu.Unlock()
		conn, err := w.net.Dial(context.Background(), "tcp", plainAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { _, _ = conn.Write(b); _ = netx.CloseWrite(conn) }()
		got, _ := io.ReadAll(conn) // any end is one
		answers := strings.Count(string(got), "HTTP/1.1 ")
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.bad) > 0 || len(r.seen) > answers {
			t.Errorf("%q: origin saw %q and garbage %q, the client %d answers", b, r.seen, r.bad, answers)
		}
	})
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
