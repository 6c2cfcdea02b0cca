package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestT02_HTTP2HeadsThatContradictThemselves sends what net/http's server takes
// and RFC 9113 calls malformed. None of it may reach the service.
func TestT02_HTTP2HeadsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	const (
		ok  = 0x88 // :status 200, indexed
		bad = 0x8c // :status 400
	)
	tests := []struct {
		name   string
		fields []string
		body   string
		status byte
	}{
		{"plain", nil, "", ok},
		{"same host", []string{"host", "APP.example.com"}, "", ok},
		{"other host", []string{"host", "b.example.com"}, "", bad},
		{"two hosts", []string{"host", "app.example.com", "host", "b.example.com"}, "", bad},
		{"length and no body", []string{"content-length", "5"}, "", bad},
		{"no length and no body", []string{"content-length", "0"}, "", ok},
		{"length with a sign", []string{"content-length", "+0"}, "", bad},
		{"list of lengths", []string{"content-length", "0, 0"}, "", bad},
		{"empty length", []string{"content-length", ""}, "", bad},
		{"two lengths", []string{"content-length", "3", "content-length", "4"}, "abc", bad},
		{"length", []string{"content-length", "3"}, "abc", ok},
		{"less than its length", []string{"content-length", "4"}, "abc", bad},
		{"more than its length", []string{"content-length", "2"}, "abc", bad},
		{"CR and LF in a value", []string{"x", "a\r\nb: c"}, "", bad},
		{"NUL in a value", []string{"x", "a\x00b"}, "", bad},
		{"space in a name", []string{"a b", "c"}, "", bad},
		{"colon in a name", []string{"a:b", "c"}, "", bad},
		{"CR and LF in a name", []string{"a\r\nb", "c"}, "", bad},
		{"capital in a name", []string{"Abc", "d"}, "", bad},
		{"empty name", []string{"", "d"}, "", bad},
		{"coding", []string{"transfer-encoding", "chunked"}, "", bad},
		{"connection", []string{"connection", "close"}, "", bad},
		{"upgrade", []string{"upgrade", "websocket"}, "", bad},
		{"te", []string{"te", "gzip"}, "", bad},
		{"second pseudo-header", []string{":path", "/b"}, "", bad},
		{"pseudo-header of responses", []string{":status", "200"}, "", bad},
		{"pseudo-header behind a field", []string{"x", "y", ":path", "/b"}, "", bad},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var served atomic.Int32
			w.online("https://app.example.com", w.serve(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
			fields := append([]string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "app.example.com"}, tt.fields...)
			if got := w.rawHTTP2(fields, tt.body); got != tt.status && !(got == 0 && tt.status == bad) {
				t.Errorf("got status byte %#x, want %#x", got, tt.status)
			}
			if n := served.Load(); (n > 0) != (tt.status == ok) {
				t.Errorf("the service saw %d requests", n)
			}
		})
	}
}

// TestT02_Targets: a path that begins with no slash is no path.
func TestT02_Targets(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "x", "http://app.example.com/", "*", "/a b", "/a#b", "/%00", "/\x00"} {
		w := newWorld(t)
		w.online("https://app.example.com", refused(t))
		if got := w.rawHTTP2([]string{":method", "GET", ":scheme", "https", ":path", path, ":authority", "app.example.com"}, ""); got != 0 && got != 0x8c {
			t.Errorf("%q: got status byte %#x, want a reset or 400", path, got)
		}
	}
}

// h2Conn opens a connection for HTTP/2 to app.example.com and sends its preface.
func (w *world) h2Conn() *tls.Conn {
	w.t.Helper()
	c, err := w.tls(&tls.Config{RootCAs: w.roots, ServerName: "app.example.com", NextProtos: []string{"h2"}})
	if err != nil {
		w.t.Fatal(err)
	}
	const settings = 4
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+string(h2Frame(settings, 0, 0, nil))); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// rawHTTP2 sends one request, field by field as given, and returns the first
// byte of the head that answers it, 0 if the stream or the connection is reset
// instead.
func (w *world) rawHTTP2(fields []string, body string) byte {
	w.t.Helper()
	c := w.h2Conn()
	defer c.Close()
	const data, headers, endStream, endHeaders = 0, 1, 1, 4
	var head []byte
	for i := 0; i < len(fields); i += 2 {
		head = append(head, 0, byte(len(fields[i]))) // a literal that is not indexed
		head = append(append(head, fields[i]...), byte(len(fields[i+1])))
		head = append(head, fields[i+1]...)
	}
	b := h2Frame(headers, endHeaders|endStream, 1, head)
	if body != "" {
		b = append(h2Frame(headers, endHeaders, 1, head), h2Frame(data, endStream, 1, []byte(body))...)
	}
	if _, err := c.Write(b); err != nil {
		w.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	br := bufio.NewReader(c)
	for {
		var h [9]byte
		if _, err := io.ReadFull(br, h[:]); err != nil {
			return 0
		}
		payload := make([]byte, int(h[0])<<16|int(h[1])<<8|int(h[2]))
		if _, err := io.ReadFull(br, payload); err != nil {
			w.t.Fatal(err)
		}
		const reset, goAway = 3, 7
		switch {
		case h[3] == headers && len(payload) > 0:
			return payload[0]
		case h[3] == reset, h[3] == goAway:
			return 0
		}
	}
}
