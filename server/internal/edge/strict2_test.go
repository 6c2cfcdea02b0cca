package edge

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var served atomic.Int32
			w.online("https://app.example.com", w.serve(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
			fields := append([]string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "app.example.com"}, tt.fields...)
			if got := w.rawHTTP2(fields, tt.body); got != tt.status {
				t.Errorf("got status byte %#x, want %#x", got, tt.status)
			}
			if n := served.Load(); (n > 0) != (tt.status == ok) {
				t.Errorf("the service saw %d requests", n)
			}
		})
	}
}

// rawHTTP2 sends one request, field by field as given, and returns the first
// byte of the head that answers it.
func (w *world) rawHTTP2(fields []string, body string) byte {
	w.t.Helper()
	c, err := w.tls(&tls.Config{RootCAs: w.roots, ServerName: "app.example.com", NextProtos: []string{"h2"}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	const data, headers, settings, endStream, endHeaders = 0, 1, 4, 1, 4
	frame := func(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
		b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
		return append(binary.BigEndian.AppendUint32(b, stream), payload...)
	}
	var head []byte
	for i := 0; i < len(fields); i += 2 {
		head = append(head, 0, byte(len(fields[i]))) // a literal that is not indexed
		head = append(append(head, fields[i]...), byte(len(fields[i+1])))
		head = append(head, fields[i+1]...)
	}
	b := frame([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, 0, 0, nil)
	if body == "" {
		b = frame(b, headers, endHeaders|endStream, 1, head)
	} else {
		b = frame(frame(b, headers, endHeaders, 1, head), data, endStream, 1, []byte(body))
	}
	if _, err := c.Write(b); err != nil {
		w.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	br := bufio.NewReader(c)
	for {
		var h [9]byte
		if _, err := io.ReadFull(br, h[:]); err != nil {
			w.t.Fatalf("no answer: %v", err)
		}
		payload := make([]byte, int(h[0])<<16|int(h[1])<<8|int(h[2]))
		if _, err := io.ReadFull(br, payload); err != nil {
			w.t.Fatal(err)
		}
		if h[3] == headers && len(payload) > 0 {
			return payload[0]
		}
	}
}
