package h1_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// pair returns a client connection and the server's end of it.
func pair(t testing.TB, cfg h1.Config) (*h1.Conn, net.Conn) {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	c := h1.NewClient(cfg).NewConn(a)
	t.Cleanup(func() { c.Abort(); _ = b.Close() })
	return c, b
}

// script makes the server answer each request head with the next text. An
// empty text closes the connection.
func script(t testing.TB, srv net.Conn, answers ...string) {
	t.Helper()
	go func() {
		br := bufio.NewReader(srv)
		for _, a := range answers {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if _, err := io.WriteString(srv, a); err != nil {
				return
			}
		}
		_ = srv.Close()
	}()
}

func get(target string) *h1.Request {
	return &h1.Request{Method: "GET", Target: target, Host: "h.example"}
}

// TestResponses reads whole responses: what comes out, and whether the
// connection may be used again.
func TestResponses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, raw string
		status            int
		body, trailer     string
		length            int64
		reusable          bool
	}{
		{name: "length", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello", length: 5, reusable: true},
		{name: "no reason", raw: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200, reusable: true},
		{name: "bare LF", raw: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200, body: "hi", length: 2, reusable: true},
		{name: "close asked", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\nhi", status: 200, body: "hi", length: 2},
		{name: "close among others", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: foo, close\r\n\r\nhi", status: 200, body: "hi", length: 2},
		{name: "delimited by close", raw: "HTTP/1.1 200 OK\r\n\r\nall of it", status: 200, body: "all of it", length: -1},
		{name: "1.0", raw: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", length: 2},
		{name: "1.0 keep-alive", raw: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", status: 200, body: "hi", length: 2, reusable: true},
		{name: "1.0 until close", raw: "HTTP/1.0 200 OK\r\n\r\nhi", status: 200, body: "hi", length: -1},
		{name: "chunked", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n", status: 200, body: "abcdefg", length: -1, reusable: true},
		{name: "chunked, upper case hex", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00A\r\n0123456789\r\n000\r\n\r\n", status: 200, body: "0123456789", length: -1, reusable: true},
		{name: "trailers", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n", status: 200, body: "a", trailer: "7", length: -1, reusable: true},
		{name: "chunked beats length", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n", status: 200, body: "a", length: -1},
		{name: "equal lengths", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", length: 2, reusable: true},
		{name: "HEAD", method: "HEAD", raw: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", status: 200, length: 500, reusable: true},
		{name: "HEAD chunked", method: "HEAD", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, length: -1, reusable: true},
		{name: "T05 HEAD with a body", method: "HEAD", raw: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", status: 200, length: 4},
		{name: "204", raw: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reusable: true},
		{name: "304 with length", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status: 304, length: 9, reusable: true},
		{name: "T05 bytes after the response", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n", status: 200, body: "hi", length: 2},
		{name: "fold", raw: "HTTP/1.1 200 OK\r\nX-A: a\r\n  b\r\nContent-Length: 0\r\n\r\n", status: 200, reusable: true},
		{name: "interim first", raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, reusable: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, srv := pair(t, h1.Config{})
			script(t, srv, tt.raw)
			req := get("/")
			if tt.method != "" {
				req.Method = tt.method
			}
			resp, err := c.RoundTrip(t.Context(), req)
			if err != nil {
				t.Fatalf("RoundTrip: %v", err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatalf("reading the body: %v", err)
			}
			if resp.StatusCode != tt.status || string(body) != tt.body || resp.ContentLength != tt.length {
				t.Errorf("got %d %q length %d, want %d %q length %d", resp.StatusCode, body, resp.ContentLength, tt.status, tt.body, tt.length)
			}
			if got := resp.Trailer.Get("X-Sum"); got != tt.trailer {
				t.Errorf("trailer X-Sum = %q, want %q", got, tt.trailer)
			}
			if c.Reusable() != tt.reusable {
				t.Errorf("reusable = %v, want %v", c.Reusable(), tt.reusable)
			}
			if err := resp.Body.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// TestBadResponses feeds what must be refused.
func TestBadResponses(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, raw string
		want      h1.Kind
	}{
		{"nothing", "", h1.Closed},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", h1.Protocol},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", h1.Protocol},
		{"half a head", ok + "Content-Le", h1.Truncated},
		{"half a status line", "HTTP/1.1 20", h1.Truncated},
		{"HTTP/2 text", "HTTP/2.0 200 OK\r\n\r\n", h1.Protocol},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", h1.Protocol},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", h1.Protocol},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", h1.Protocol},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", h1.Protocol},
		{"bare CR in value", ok + "A: b\rc\r\n\r\n", h1.Protocol},
		{"NUL in value", ok + "A: b\x00c\r\n\r\n", h1.Protocol},
		{"space before colon", ok + "Content-Length : 5\r\n\r\nhello", h1.Protocol},
		{"no colon", ok + "Content-Length\r\n\r\n", h1.Protocol},
		{"empty name", ok + ": x\r\n\r\n", h1.Protocol},
		{"folded first line", ok + " X: y\r\n\r\n", h1.Protocol},
		{"name too long", ok + strings.Repeat("a", 257) + ": x\r\n\r\n", h1.Protocol},
		{"conflicting lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", h1.Protocol},
		{"list of lengths", ok + "Content-Length: 5, 5\r\n\r\nhello", h1.Protocol},
		{"signed length", ok + "Content-Length: +5\r\n\r\nhello", h1.Protocol},
		{"empty length", ok + "Content-Length:\r\n\r\n", h1.Protocol},
		{"length overflow", ok + "Content-Length: 9223372036854775808\r\n\r\n", h1.Protocol},
		{"unknown coding", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", h1.Protocol},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.Protocol},
		{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.Protocol},
		{"unasked switch", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", h1.Protocol},
		{"endless interim", strings.Repeat("HTTP/1.1 103 Hi\r\n\r\n", 11) + ok + "\r\n", h1.Protocol},
		{"too many fields", ok + strings.Repeat("A: b\r\n", 501) + "\r\n", h1.Protocol},
		{"head too long", ok + "A: " + strings.Repeat("b", 1<<20) + "\r\n\r\n", h1.Protocol},
		{"endless head", ok + "A: " + strings.Repeat("b", 2<<20), h1.Protocol},
		{"leading empty line", "\r\n" + ok + "\r\n", h1.Protocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, srv := pair(t, h1.Config{})
			script(t, srv, tt.raw)
			resp, err := c.RoundTrip(t.Context(), get("/"))
			if err == nil {
				_ = resp.Body.Close()
				t.Fatalf("got status %d, want an error", resp.StatusCode)
			}
			if got := h1.KindOf(err); got != tt.want {
				t.Errorf("got %v (%v), want kind %v", got, err, tt.want)
			}
			if c.Reusable() {
				t.Error("the connection is still reusable")
			}
		})
	}
}

// TestBadBodies feeds responses whose body breaks its framing.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, raw, body string
		want            h1.Kind
	}{
		{"short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "hello", h1.Truncated},
		{"no last chunk", chunked + "3\r\nabc\r\n", "abc", h1.Truncated},
		{"half a chunk", chunked + "9\r\nabc", "abc", h1.Truncated},
		{"no final line", chunked + "3\r\nabc\r\n0\r\n", "abc", h1.Truncated},
		{"0x size", chunked + "0x3\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"signed size", chunked + "+3\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"empty size", chunked + "\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"17 digits", chunked + "00000000000000003\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"overflow", chunked + "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"bare LF after size", chunked + "3\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"bare LF after data", chunked + "3\r\nabc\n0\r\n\r\n", "abc", h1.Protocol},
		{"CR in extension", chunked + "3;a\rb\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"space in size", chunked + "3 3\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"data longer than size", chunked + "3\r\nabcd\r\n0\r\n\r\n", "abc", h1.Protocol},
		{"long extension", chunked + "3;" + strings.Repeat("x", 5000) + "\r\nabc\r\n0\r\n\r\n", "", h1.Protocol},
		{"extensions for ever", chunked + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 20) + "0\r\n\r\n", strings.Repeat("a", 16), h1.Protocol},
		{"trailer without colon", chunked + "0\r\nfoo\r\n\r\n", "", h1.Protocol},
		{"folded trailer", chunked + "0\r\nA: b\r\n c\r\n\r\n", "", h1.Protocol},
		{"bare LF ends the trailer", chunked + "0\r\n\n\n", "", h1.Protocol},
		{"bare LF in the trailer", chunked + "0\r\nA: b\nC: d\r\n\r\n", "", h1.Protocol},
		{"trailer too long", chunked + "0\r\nA: " + strings.Repeat("b", 65<<10) + "\r\n\r\n", "", h1.Protocol},
		{"too many trailers", chunked + "0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", "", h1.Protocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, srv := pair(t, h1.Config{})
			script(t, srv, tt.raw)
			resp, err := c.RoundTrip(t.Context(), get("/"))
			if err != nil {
				t.Fatalf("RoundTrip: %v", err)
			}
			body, err := io.ReadAll(resp.Body)
			if got := h1.KindOf(err); got != tt.want || string(body) != tt.body {
				t.Errorf("got %q and %v (%v), want %q and %v", body, got, err, tt.body, tt.want)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); again == nil || errors.Is(again, io.EOF) {
				t.Errorf("a second Read after the error returned %v", again)
			}
			_ = resp.Body.Close()
			if c.Reusable() {
				t.Error("the connection is still reusable")
			}
		})
	}
}

// TestRequestBytes checks what goes out, byte for byte where order is fixed.
func TestRequestBytes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		req  h1.Request
		want string
	}{
		{"bare", h1.Request{Method: "GET", Target: "/a?b=%20", Host: "h"}, "GET /a?b=%20 HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"prefix", h1.Request{Method: "GET", Target: "/", Host: "h", Prefix: []byte("PROXY x\r\n")}, "PROXY x\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{
			"small body",
			h1.Request{Method: "POST", Target: "/", Host: "h", Body: strings.NewReader("abc"), ContentLength: 3},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		},
		{"empty POST", h1.Request{Method: "POST", Target: "/", Host: "h"}, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
		{
			"own framing wins", h1.Request{Method: "GET", Target: "/", Host: "h", Header: http.Header{
				"Host": {"evil"}, "Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "Connection": {"close"}, "X-A": {"1"},
			}}, "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n",
		},
		{
			"upgrade",
			h1.Request{Method: "GET", Target: "/", Host: "h", Upgrade: "websocket"},
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		},
		{"close", h1.Request{Method: "GET", Target: "/", Host: "h", Close: true}, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"},
		{
			"chunks and trailer", h1.Request{
				Method: "POST", Target: "/", Host: "h", Body: strings.NewReader("abc"), ContentLength: -1,
				Trailer: http.Header{"X-Sum": {"7"}},
			}, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n",
		},
		{
			"empty chunked",
			h1.Request{Method: "POST", Target: "/", Host: "h", Body: strings.NewReader(""), ContentLength: -1},
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, srv := pair(t, h1.Config{})
			got := make([]byte, len(tt.want))
			done := make(chan error, 1)
			go func() {
				_, err := io.ReadFull(srv, got)
				_, _ = io.WriteString(srv, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				done <- err
			}()
			resp, err := c.RoundTrip(t.Context(), &tt.req)
			if err != nil {
				t.Fatalf("RoundTrip: %v", err)
			}
			_ = resp.Body.Close()
			if err := <-done; err != nil || string(got) != tt.want {
				t.Errorf("sent %q (%v), want %q", got, err, tt.want)
			}
			_ = srv.SetReadDeadline(time.Unix(1, 0))
			if tt.req.Close || tt.req.Upgrade != "" {
				return
			}
			if !c.Reusable() {
				t.Error("the connection is not reusable")
			}
		})
	}
}

// TestT24_RequestsThatCannotBeWritten are refused before a byte is sent, and
// leave the connection usable.
func TestT24_RequestsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]h1.Request{
		"line break in value": {Method: "GET", Target: "/", Host: "h", Header: http.Header{"A": {"b\r\nC: d"}}},
		"NUL in value":        {Method: "GET", Target: "/", Host: "h", Header: http.Header{"A": {"b\x00"}}},
		"space in name":       {Method: "GET", Target: "/", Host: "h", Header: http.Header{"A B": {"c"}}},
		"space in target":     {Method: "GET", Target: "/a b", Host: "h"},
		"line break in host":  {Method: "GET", Target: "/", Host: "h\r\nX: y"},
		"space in method":     {Method: "GET /", Target: "/", Host: "h"},
		"no target":           {Method: "GET", Host: "h"},
		"upgrade with a body": {Method: "GET", Target: "/", Host: "h", Upgrade: "websocket", Body: strings.NewReader("x"), ContentLength: 1},
		"upgrade injection":   {Method: "GET", Target: "/", Host: "h", Upgrade: "a\r\nB: c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := pair(t, h1.Config{})
			_, err := c.RoundTrip(t.Context(), &req)
			if h1.KindOf(err) != h1.Invalid {
				t.Errorf("got %v, want kind invalid", err)
			}
			if !c.Reusable() {
				t.Error("nothing was sent, but the connection is not reusable")
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	script(t, srv, answer, answer, answer)
	for i := range 3 {
		resp, err := c.RoundTrip(t.Context(), get("/"))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := c.RoundTrip(t.Context(), get("/")); !errors.Is(err, h1.ErrBusy) {
			t.Errorf("a second request at once returned %v, want ErrBusy", err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
		_ = resp.Body.Close()
	}
	if c.Served() != 3 {
		t.Errorf("served %d, want 3", c.Served())
	}
	if _, err := c.RoundTrip(t.Context(), get("/")); h1.KindOf(err) != h1.Closed {
		t.Errorf("after the server closed: got %v, want kind closed", err)
	}
}

// readable is a connection that tells whether bytes wait.
type readable struct {
	net.Conn
	waiting bool
}

func (r *readable) Readable() bool { return r.waiting }

// TestT05_BytesBetweenExchanges: what comes while nothing was asked, a response
// or the end, costs the connection.
func TestT05_BytesBetweenExchanges(t *testing.T) {
	t.Parallel()
	a, srv := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	below := &readable{Conn: a}
	c := h1.NewClient(h1.Config{}).NewConn(below)
	t.Cleanup(c.Abort)
	script(t, srv, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "")
	resp, err := c.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if !c.Reusable() {
		t.Error("not reusable after a whole response")
	}
	below.waiting = true
	if c.Reusable() {
		t.Error("reusable although bytes wait")
	}
	if _, err := c.RoundTrip(t.Context(), get("/")); !errors.Is(err, h1.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

// TestEarlyResponse: the answer to an upload arrives while the upload is under
// way, and closing the body stops the upload.
func TestEarlyResponse(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	go func() {
		br := bufio.NewReader(srv)
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = io.WriteString(srv, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		}
	}()
	body, feed := io.Pipe()
	req := &h1.Request{
		Method: "POST", Target: "/", Host: "h", Body: body, ContentLength: 10 << 30,
		StopBody: func() { _ = feed.CloseWithError(io.ErrClosedPipe) },
	}
	resp, err := c.RoundTrip(t.Context(), req)
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "big" || resp.StatusCode != 413 {
		t.Errorf("got %d %q %v, want 413 big", resp.StatusCode, text, err)
	}
	_ = resp.Body.Close() // returns only when the sender has ended
	if c.Reusable() {
		t.Error("reusable although the request was not sent whole")
	}
}

// TestResponseAfterWriteError: the server answers and closes; our writes fail,
// the answer counts.
func TestResponseAfterWriteError(t *testing.T) {
	t.Parallel()
	c, srv := pair(t, h1.Config{})
	_, _ = io.WriteString(srv, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	_ = srv.Close()
	resp, err := c.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 400 || c.Reusable() {
		t.Errorf("got %d, reusable %v; want 400, false", resp.StatusCode, c.Reusable())
	}
}

func TestUploadThenReuse(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{1 << 20, -1} {
		c, srv := pair(t, h1.Config{})
		const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		script(t, srv, answer, answer)
		for range 2 {
			req := get("/")
			req.Method, req.Body, req.ContentLength = "PUT", bytes.NewReader(make([]byte, 1<<20)), length
			resp, err := c.RoundTrip(t.Context(), req)
			if err != nil {
				t.Fatalf("length %d: %v", length, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if c.Served() != 2 {
			t.Errorf("length %d: served %d, want 2", length, c.Served())
		}
	}
}
