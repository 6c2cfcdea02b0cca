package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/route"
)

func newReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }

// echoSocket is a service that switches to websocket and echoes bytes. What it
// sends together with the 101 comes first.
func echoSocket(c net.Conn, br *bufio.Reader) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") || !strings.EqualFold(req.Header.Get("Connection"), "upgrade") {
		_, _ = io.WriteString(c, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\nNgrok-Error-Code: x\r\n\r\nhello ")
	_, _ = io.Copy(c, br)
}

const wsRequest = "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n"

// TestEndpoints22_WebSocket: 101 passes, bytes go both ways, early bytes of
// either side arrive in order, and so do half-closes.
func TestEndpoints22_WebSocket(t *testing.T) {
	t.Parallel()
	for name, multiplexed := range map[string]bool{"plain upstream": false, "multiplexed upstream": true} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				var up route.Upstream = raw(t, echoSocket)
				if multiplexed {
					up = overMux(t, echoSocket)
				}
				w.online("http://app.example.com", up)
				w.online("https://app.example.com", up)
				conn := w.dial(secure)
				if _, err := io.WriteString(conn, wsRequest+"early "); err != nil {
					t.Fatal(err)
				}
				br := bufio.NewReader(conn)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				h := resp.Header
				if resp.StatusCode != 101 || h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" || h.Get("X-A") != "b" || h.Get("Ngrok-Error-Code") != "" {
					t.Errorf("got %d %v", resp.StatusCode, h)
				}
				_, _ = io.WriteString(conn, "late")
				_ = conn.(netx.CloseWriter).CloseWrite()
				if got, err := io.ReadAll(br); string(got) != "hello early late" || err != nil {
					t.Errorf("got %q, %v; want hello early late", got, err)
				}
			})
		}
	}
}

// TestT04_BytesBehindARefusedUpgrade go nowhere: the connection ends.
func TestT04_BytesBehindARefusedUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	conn := w.dial(false)
	_, _ = io.WriteString(conn, wsRequest+"GET /next HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "/ws" || !resp.Close {
		t.Errorf("got %d %q, closing %v; want /ws and the end", resp.StatusCode, body, resp.Close)
	}
	if b, err := io.ReadAll(br); len(b) > 0 || err != nil {
		t.Errorf("behind it came %q, %v", b, err)
	}
}

// TestT06_OtherUpgradesAreDropped with their Connection field.
func TestT06_OtherUpgradesAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://app.example.com", w.serve(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["Upgrade"], r.Header["Connection"], r.Header["Http2-Settings"])
	}))
	conn := w.dial(false)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "[] [] []" {
		t.Errorf("upstream saw %s", body)
	}
}

func TestWebSocketToHTTP2Upstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(echoRequest), func(e *route.Endpoint) { e.HTTP2 = true })
	got := do(t, w.h1(), "GET", "/", nil, header("Connection", "Upgrade"), header("Upgrade", "websocket"))
	wantStatus(t, got, 400, string(fault.UpgradeRefused))
}

func TestWebSocketIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.online("http://app.example.com", overMux(t, echoSocket))
		conn := w.dial(false)
		_, _ = io.WriteString(conn, wsRequest)
		buf := make([]byte, 1000)
		if n, err := conn.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "hello ") {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
		for range 4 { // pings keep it open
			time.Sleep(3 * time.Minute)
			_, _ = conn.Write([]byte("x"))
			if _, err := io.ReadFull(conn, buf[:1]); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		_, err := conn.Read(buf)
		if d := time.Since(start); err == nil || d < 5*time.Minute || d > 7*time.Minute {
			t.Errorf("silent connection ended after %v with %v, want about 5m", d, err)
		}
	})
}

// socketTo opens a WebSocket to app.example.com.
func (w *world) socketTo(secure bool) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	conn := w.dial(secure)
	_, _ = io.WriteString(conn, wsRequest)
	br := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		w.t.Fatal(resp, err)
	}
	return conn, br
}

// TestD03_WebSocketsAreToldAtTheDeadline: drain waits for them, and then sends
// a close frame with 1001 to both sides where they are between frames.
func TestD03_WebSocketsAreToldAtTheDeadline(t *testing.T) {
	t.Parallel()
	const whole, part = "\x81\x02hi", "\x81\x05he" // frames without a mask, as services send them
	for _, tt := range []struct {
		name               string
		service, client    string // what each has sent at the deadline
		toClient, toServer bool   // gets a close frame
	}{
		{"silent", "", "", true, true},
		{"between frames", whole, "\x81\x82\x00\x00\x00\x00hi", true, true},
		{"service inside a frame", whole + part, "", false, true},
		{"client inside a head", "", "\x81\xfe\x01", true, false},
		{"client inside a frame", "", "\x82\xfe\x01\x00\x00\x00\x00\x00half", true, false},
		{"client has closed", "", "\x88\x80\x00\x00\x00\x00", true, false},
		{"service has closed", "\x88\x00", "", false, true},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					got := make(chan string, 1)
					up := overMux(t, func(c net.Conn, br *bufio.Reader) {
						_, _ = http.ReadRequest(br)
						_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+tt.service)
						b, _ := io.ReadAll(br)
						got <- string(b)
					})
					w.online("http://app.example.com", up)
					w.online("https://app.example.com", up)
					conn, br := w.socketTo(secure)
					_, _ = io.WriteString(conn, tt.client)
					synctest.Wait()
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					start := time.Now()
					go func() {
						b, _ := io.ReadAll(br)
						if text, ok := strings.CutPrefix(string(b), tt.service); !ok || (text == "\x88\x02\x03\xe9") != tt.toClient || !tt.toClient && text != "" {
							t.Errorf("the client got %q behind %q, a close frame: %v", text, tt.service, tt.toClient)
						}
						_ = conn.Close()
					}()
					w.srv.Drain(ctx)
					if d := time.Since(start); d < time.Minute || d > time.Minute+farewellTime {
						t.Errorf("drained after %v, want 1m", d)
					}
					text, ok := strings.CutPrefix(<-got, tt.client)
					if !ok || tt.toServer != (len(text) == 8 && text[:2] == "\x88\x82" && text[2]^text[6] == 3 && text[3]^text[7] == 0xe9) || !tt.toServer && text != "" {
						t.Errorf("the service got %q behind %q, a close frame: %v", text, tt.client, tt.toServer)
					}
				})
			})
		}
	}
}

// TestD03_WebSocketsEndWithTheHandshake: both sides that answer the close frame
// cost no further wait, and who cancels the drain does not wait either.
func TestD03_WebSocketsEndWithTheHandshake(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]time.Duration{"deadline": time.Minute, "cancelled": 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.online("http://app.example.com", overMux(t, echoSocket))
			conn, br := w.socketTo(false)
			go func() {
				_, _ = io.Copy(io.Discard, br)
				_ = conn.Close()
			}()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if name == "cancelled" {
				time.AfterFunc(want, cancel)
			}
			start := time.Now()
			w.srv.Drain(ctx)
			if d := time.Since(start); d < want || d > want+farewellTime {
				t.Errorf("%s: drained after %v, want %v", name, d, want)
			}
		})
	}
}

// FuzzFrames: however the bytes of frames are cut, the end of each is found.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 0x05, 1, 2, 3, 4, 5}, uint8(1))
	f.Add([]byte{0x82, 0xfe, 0, 2, 1, 2, 3, 4, 5, 6, 0x88}, uint8(3))
	f.Add([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 5, 1}, uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var whole, cutUp frames
		whole.pass(b)
		for rest := b; len(rest) > 0; {
			n := min(int(cut)+1, len(rest))
			cutUp.pass(rest[:n])
			rest = rest[n:]
		}
		if whole.between() != cutUp.between() || whole.left != cutUp.left || whole.have != cutUp.have {
			t.Errorf("%x: %+v and, in pieces of %d, %+v", b, whole, cut, cutUp)
		}
	})
}
