package h1_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/h1"
)

// canned is a server without concurrency: every Write makes the next answer
// readable.
type canned struct {
	answer []byte
	left   []byte
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}
func (c *canned) Write(p []byte) (int, error)      { c.left = c.answer; return len(p), nil }
func (c *canned) Close() error                     { return nil }
func (c *canned) LocalAddr() net.Addr              { return nil }
func (c *canned) RemoteAddr() net.Addr             { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

const typicalHead = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 05 Mar 2024 10:00:00 GMT\r\n" +
	"Content-Type: text/html\r\nContent-Length: 1024\r\nLast-Modified: Tue, 05 Mar 2024 09:00:00 GMT\r\n" +
	"Connection: keep-alive\r\nETag: \"65e6e0d0-400\"\r\nAccept-Ranges: bytes\r\n\r\n"

// allocsPerRoundTrip is what one exchange may allocate: the exchange with its
// response, the head's text, the map of its fields with their values, and the
// link to the context.
const allocsPerRoundTrip = 12

func typical() (*h1.Conn, *h1.Request) {
	c := h1.NewClient(h1.Config{}).NewConn(&canned{answer: append([]byte(typicalHead), make([]byte, 1024)...)})
	return c, &h1.Request{Method: "GET", Target: "/index.html", Host: "app.example.com", Header: http.Header{
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}, "Accept": {"*/*"},
		"Accept-Encoding": {"gzip, br"}, "X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"app.example.com"},
	}}
}

func exchangeOnce(tb testing.TB, ctx context.Context, c *h1.Conn, req *h1.Request, buf []byte) { //nolint:revive // testing.TB comes first
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := resp.Body.Read(buf); err == io.EOF { //nolint:errorlint // hot loop
			break
		} else if err != nil {
			tb.Fatal(err)
		}
	}
	_ = resp.Body.Close()
}

func BenchmarkRoundTrip(b *testing.B) {
	c, req := typical()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	buf := make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		exchangeOnce(b, ctx, c, req, buf)
	}
}

// BenchmarkNetHTTP is the parsing half of the same work by net/http.
func BenchmarkNetHTTP(b *testing.B) {
	answer := append([]byte(typicalHead), make([]byte, 1024)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := readNetHTTP(bytes.NewReader(answer)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChunkedBody(b *testing.B) {
	var raw bytes.Buffer
	raw.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 256 {
		raw.WriteString("1000\r\n")
		raw.Write(make([]byte, 4096))
		raw.WriteString("\r\n")
	}
	raw.WriteString("0\r\n\r\n")
	c := h1.NewClient(h1.Config{}).NewConn(&canned{answer: raw.Bytes()})
	req := &h1.Request{Method: "GET", Target: "/", Host: "h"}
	buf := make([]byte, 32<<10)
	b.SetBytes(256 * 4096)
	b.ReportAllocs()
	for b.Loop() {
		exchangeOnce(b, b.Context(), c, req, buf)
	}
}

func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	c, req := typical()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	buf := make([]byte, 32<<10)
	got := testing.AllocsPerRun(200, func() { exchangeOnce(t, ctx, c, req, buf) })
	if got > allocsPerRoundTrip {
		t.Errorf("%v allocations per exchange, want at most %d", got, allocsPerRoundTrip)
	}
}
