package edge

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// Requests that bring a connection to net/http's server and could keep it.
var unusual = map[string]string{
	"HTTP/1.0":         "GET /b HTTP/1.0\r\n" + rowHost + "Connection: keep-alive\r\n\r\n",
	"refused upgrade":  "GET /b HTTP/1.1\r\n" + rowHost + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"LF at a line end": "GET /b HTTP/1.1\n" + rowHost + "\r\n",
}

// TestHTTP_H01_NothingBehindTheUnusual: nor H06, H07, H17. No second request
// gets to net/http's server, whatever the first was, that the front has not
// judged.
func TestHTTP_H01_NothingBehindTheUnusual(t *testing.T) {
	t.Parallel()
	for name, first := range unusual {
		for _, second := range []string{
			"POST /a HTTP/1.0\r\n" + rowHost + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + rowHidden,
			rowPost + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + rowHidden,
			rowPost + "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + rowHidden,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, r := newWorld(t), &recorder{}
				w.online("http://app.example.com", raw(t, r.serve))
				conn := w.dial(false)
				_, _ = io.WriteString(conn, first+second)
				b, err := io.ReadAll(conn)
				r.mu.Lock()
				defer r.mu.Unlock()
				if got := string(b); err != nil || !strings.Contains(got, " 200 OK\r\n") || !strings.Contains(got, "Connection: close\r\n") || strings.Count(got, "HTTP/1.") != 1 || len(r.seen) != 1 {
					t.Errorf("%q: got %q, %v and the origin saw %q; want one answer that ends the connection", second, b, err, r.seen)
				}
			})
		}
	}
}

// TestHTTP_H07_BareLineEnds do not get the ambiguous past the front.
func TestHTTP_H07_BareLineEnds(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"POST /a HTTP/1.0\r\n" + rowHost + "Connection: keep-alive\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /a HTTP/1.1\n" + rowHost + "Content-Length: 5\nTransfer-Encoding: chunked\n\n",
		rowPost + "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\r\n\n",
		rowPost + "Transfer-Encoding:\n\tchunked\r\n\r\n",
		"GET http://app.example.com/a HTTP/1.1\r\nHost: other.example.com\n\r\n",
	} {
		checkRows(t, row{head, head + "0\r\n\r\n" + rowHidden, 400, nil})
	}
}

// TestT06_OtherUpgradesAreOrdinary: they are dropped, and the connection stays.
func TestT06_OtherUpgradesAreOrdinary(t *testing.T) {
	t.Parallel()
	h2c := "GET /a HTTP/1.1\r\n" + rowHost + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
	checkRows(t, row{"h2c", h2c + h2c + rowGet("/b") + rowGet("/c"), 200, saw("/a", "/a", "/b", "/c")})
}

// TestLimit_HeadRateEndsWithTheHead, also where nothing else bounds the wait.
func TestLimit_HeadRateEndsWithTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Limits.HeadTimeout, c.Limits.KeepAlive = -1, -1 })
		w.online("http://app.example.com", w.serve(echoRequest))
		c := w.dial(false)
		for range 2 {
			for _, piece := range []string{"POST / HTTP/1.1\r\n", rowHost + "Content-Length: 2\r\n\r\n", "a", "b"} {
				_, _ = io.WriteString(c, piece)
				time.Sleep(10 * time.Second / 3)
			}
			time.Sleep(10 * time.Second)
			wantRead(t, c, "HTTP/1.1 200")
			synctest.Wait()
			_, _ = c.Read(make([]byte, 64<<10))
		}
	})
}

// TestT09_ClientResetsInABody: it has gone, and is not answered 400.
func TestT09_ClientResetsInABody(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 100000\r\n", "Transfer-Encoding: chunked\r\n"} {
		lines := make(chan string, 1)
		w := newWorld(t, overTCP, func(c *Config) { c.AccessLog = slog.New(slog.NewTextHandler(lineWriter(lines), nil)) })
		began := make(chan struct{})
		w.online("http://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 1))
			close(began)
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		c := w.dialTCP()
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\n"+rowHost+framing+"\r\n5\r\nhello\r\n")
		<-began
		if err := netx.CutOff(c); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if line := <-lines; !strings.Contains(line, "status=499") {
			t.Errorf("%q: logged %s, want status 499", framing, line)
		}
	}
}

// lineWriter gives each line to a channel.
type lineWriter chan<- string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(bytes.TrimSpace(b))
	return len(b), nil
}
