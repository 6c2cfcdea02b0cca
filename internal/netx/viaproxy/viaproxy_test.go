package viaproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/netx/viaproxy"
)

// proxy serves one connection with serve and returns a dialler for it.
func proxy(t *testing.T, serve func(net.Conn)) viaproxy.DialFunc {
	t.Helper()
	network := memnet.New()
	ln, err := network.Listen("tcp", "127.0.0.1:3128")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return network.Dial
}

func readN(c net.Conn, n int) string {
	b := make([]byte, n)
	_, _ = io.ReadFull(c, b)
	return string(b)
}

func TestAgent34_ThroughProxies(t *testing.T) {
	t.Parallel()
	httpProxy := func(wantAuth, answer string) func(net.Conn) {
		return func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil || req.Method != "CONNECT" || req.Host != "server.test:443" || req.Header.Get("Proxy-Authorization") != wantAuth {
				io.WriteString(c, "HTTP/1.1 400 Unexpected\r\n\r\n")
				return
			}
			io.WriteString(c, answer)
		}
	}
	name := "\x03\x0bserver.test\x01\xbb"
	tests := []struct {
		name, url string
		serve     func(net.Conn)
		want      string // what is read through the tunnel
		errText   string
	}{
		{"http", "http://127.0.0.1:3128", httpProxy("", "HTTP/1.1 200 OK\r\n\r\nearly"), "early", ""},
		{"http with password", "http://u:p%40@127.0.0.1:3128", httpProxy("Basic dTpwQA==", "HTTP/1.0 200 Connection established\r\nX: y\r\n\r\nhi"), "hi", ""},
		{"http wants password", "http://127.0.0.1:3128", httpProxy("", "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), "", "user name and a password"},
		{"http refuses", "http://127.0.0.1:3128", httpProxy("", "HTTP/1.1 403 Forbidden\r\n\r\n"), "", "403 Forbidden"},
		{"http never ends its head", "http://127.0.0.1:3128", httpProxy("", "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 5000)), "", "too long"},
		{"http says nothing", "http://127.0.0.1:3128", func(c net.Conn) { readN(c, 10) }, "", "EOF"},
		{"socks5", "socks5://127.0.0.1:3128", func(c net.Conn) {
			if readN(c, 3) == "\x05\x01\x00" {
				io.WriteString(c, "\x05\x00")
			}
			if readN(c, 3+len(name)) == "\x05\x01\x00"+name {
				io.WriteString(c, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00hi")
			}
		}, "hi", ""},
		{"socks5 with password and name in the answer", "socks5h://u:pw@127.0.0.1:3128", func(c net.Conn) {
			if readN(c, 4) == "\x05\x02\x00\x02" {
				io.WriteString(c, "\x05\x02")
			}
			if readN(c, 6) == "\x01\x01u\x02pw" {
				io.WriteString(c, "\x01\x00")
			}
			readN(c, 3+len(name))
			io.WriteString(c, "\x05\x00\x00\x03\x02xy\x00\x00hi")
		}, "hi", ""},
		{"socks5 wrong password", "socks5://u:pw@127.0.0.1:3128", func(c net.Conn) {
			readN(c, 4)
			io.WriteString(c, "\x05\x02")
			readN(c, 6)
			io.WriteString(c, "\x01\x01")
		}, "", "refuses this user name"},
		{"socks5 wants password", "socks5://127.0.0.1:3128", func(c net.Conn) {
			readN(c, 3)
			io.WriteString(c, "\x05\xff")
		}, "", "asks for a user name"},
		{"socks5 refuses", "socks5://127.0.0.1:3128", func(c net.Conn) {
			readN(c, 3)
			io.WriteString(c, "\x05\x00")
			readN(c, 3+len(name))
			io.WriteString(c, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
		}, "", "connection refused"},
		{"not socks", "socks5://127.0.0.1:3128", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad\r\n\r\n"); readN(c, 3) }, "", "not a SOCKS5 proxy"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := viaproxy.Parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := p.Dial(t.Context(), proxy(t, tc.serve), "server.test:443")
			if tc.errText != "" {
				if err == nil || !strings.Contains(err.Error(), tc.errText) || !fault.Has(err, fault.ProxyFailed) {
					t.Fatalf("got error %v, want one with %q", err, tc.errText)
				}
				if strings.Contains(err.Error(), "pw") {
					t.Errorf("error shows the password: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := readN(conn, len(tc.want)); got != tc.want {
				t.Errorf("read %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDialEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		defer far.Close()
		p, err := viaproxy.Parse("http://h")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = p.Dial(ctx, func(context.Context, string, string) (net.Conn, error) { return near, nil }, "s:1")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want the deadline after 1s", err, time.Since(start))
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://h": "h:80", "https://h": "h:443", "socks5://h": "h:1080", "socks5h://[::1]:9": "[::1]:9", "http://u:p@h:3128/": "h:3128",
	} {
		if p, err := viaproxy.Parse(text); err != nil || p.Addr() != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", text, p, err, want)
		}
	}
	for _, text := range []string{"", "h:3128", "h", "ftp://h", "http://", "http://h/path", "http://:80", "u:secret@h:80", "http://h?x=1"} {
		_, err := viaproxy.Parse(text)
		if !fault.Has(err, fault.ProxyInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Parse(%q): got %v, want fault %s without the password", text, err, fault.ProxyInvalid)
		}
	}
}

// FuzzAnswer feeds a proxy's bytes to both handshakes.
func FuzzAnswer(f *testing.F) {
	f.Add(true, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add(false, []byte("\x05\x02\x01\x00\x05\x00\x00\x03\x02xy\x00\x00"))
	f.Fuzz(func(t *testing.T, isHTTP bool, answer []byte) {
		text := "socks5://u:p@h"
		if isHTTP {
			text = "http://u:p@h"
		}
		p, err := viaproxy.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c := &script{r: bytes.NewReader(answer)}
		conn, err := p.Dial(t.Context(), func(context.Context, string, string) (net.Conn, error) { return c, nil }, "s:1")
		if (err == nil) == c.closed {
			t.Errorf("error %v, closed %v", err, c.closed)
		}
		if err == nil && conn == nil {
			t.Error("neither connection nor error")
		}
	})
}

// script is a connection that reads a fixed text.
type script struct {
	net.Conn
	r      io.Reader
	closed bool
}

func (s *script) Read(b []byte) (int, error) { return s.r.Read(b) }
func (*script) Write(b []byte) (int, error)  { return len(b), nil }
func (s *script) Close() error               { s.closed = true; return nil }
func (*script) SetDeadline(time.Time) error  { return nil }
