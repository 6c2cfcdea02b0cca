//go:build !race

// These tests measure memory, of which the race detector takes many times as
// much, and the processor with it.

package reliability

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/node"
)

// again calls f until ctx ends, with a breath between two calls.
func again(n int, f func(ctx context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				for ctx.Err() == nil {
					f(ctx)
					pause(ctx, 250*time.Millisecond)
				}
			})
		}
		wg.Wait()
	}
}

// to connects to addr and gives f the connection, which is closed when ctx ends.
func (w *world) to(addr net.Addr, f func(ctx context.Context, c net.Conn)) func(context.Context) {
	return func(ctx context.Context) {
		c, err := w.net.DialContext(ctx, "tcp", addr.String())
		if err != nil {
			return
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		f(ctx, c)
	}
}

// toTLS is the same behind a TLS handshake for the given name.
func (w *world) toTLS(addr net.Addr, name string, f func(ctx context.Context, c net.Conn), protos ...string) func(context.Context) {
	return w.to(addr, func(ctx context.Context, c net.Conn) {
		s := tls.Client(c, &tls.Config{ServerName: name, RootCAs: w.cas, MinVersion: tls.VersionTLS12, NextProtos: protos})
		if s.HandshakeContext(ctx) == nil {
			f(ctx, s)
		}
	})
}

// untilClosed reads and forgets.
func untilClosed(_ context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// h2Flood writes ten thousand frames of HTTP/2 a second, until the server ends the
// connection. Numbers of streams go up.
func h2Flood(ctx context.Context, c net.Conn, add func(b []byte, stream uint32) []byte) {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	b := h2Frame([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 4, 0, 0, nil)
	for stream := uint32(1); ctx.Err() == nil; {
		for range 100 {
			b = add(b, stream)
			stream += 2
		}
		if _, err := c.Write(b); err != nil {
			return
		}
		b = b[:0]
		pause(ctx, 10*time.Millisecond)
	}
}

func h2Frame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// drip writes a text byte by byte, again and again.
func drip(ctx context.Context, c net.Conn, first, then string) {
	if _, err := io.WriteString(c, first); err != nil {
		return
	}
	for i := 0; pause(ctx, 50*time.Millisecond); i++ {
		if _, err := c.Write([]byte{then[i%len(then)]}); err != nil {
			return
		}
	}
}

// flood writes a text again and again, as fast as it is taken, and reads nothing.
func flood(ctx context.Context, c net.Conn, first, then string) {
	if _, err := io.WriteString(c, first); err != nil {
		return
	}
	for ctx.Err() == nil {
		if _, err := io.WriteString(c, then); err != nil {
			return
		}
	}
}

func TestHostileClient_BesideOrdinaryOnes(t *testing.T) { //nolint:paralleltest // it measures memory
	if w, u := besieged(t); w != nil {
		attack(t, hostileClients(w, u))
		return
	}
	w := newWorld(t, Loopback{}, func(c *node.Config) { c.Edge.HeadTimeout = 2 * time.Second })
	siege(t, w, w.forward(w.agent(""), w.upstream("one")), 64<<20)
}

// hostileClients are attacks on the server of w, some of them by the endpoint u.
func hostileClients(w *world, u string) map[string]func(context.Context) {
	name, _, _ := strings.Cut(host(u), ":")
	https := func(f func(ctx context.Context, c net.Conn)) func(context.Context) {
		return w.toTLS(w.info.HTTPS, name, f)
	}
	http2 := func(f func(ctx context.Context, c net.Conn)) func(context.Context) {
		return w.toTLS(w.info.HTTPS, name, f, "h2")
	}
	head := "POST /sink?n=1000000 HTTP/1.1\r\nHost: " + host(u) + "\r\n"
	head2 := append([]byte("\x82\x87\x84\x01"), append([]byte{byte(len(name))}, name...)...)
	get := "GET /bytes/100000000 HTTP/1.1\r\nHost: " + host(u) + "\r\n\r\n"
	return map[string]func(context.Context){
		"slow heads": again(50, https(func(ctx context.Context, c net.Conn) { drip(ctx, c, head, "X-A: b\r\n") })),
		"slow bodies": again(50, https(func(ctx context.Context, c net.Conn) {
			drip(ctx, c, head+"Content-Length: 1000000\r\n\r\n", "x")
		})),
		"slow chunks": again(20, https(func(ctx context.Context, c net.Conn) {
			drip(ctx, c, head+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n")
		})),
		"readers that do not read": again(20, https(func(ctx context.Context, c net.Conn) { _, _ = io.WriteString(c, get); <-ctx.Done() })),
		"endless heads":            again(4, https(func(ctx context.Context, c net.Conn) { flood(ctx, c, head, "X-A: "+strings.Repeat("b", 1000)+"\r\n") })),
		"pipelines":                again(4, https(func(ctx context.Context, c net.Conn) { flood(ctx, c, get, get) })),
		"garbage behind TLS":       again(4, https(func(ctx context.Context, c net.Conn) { _, _ = c.Write(noise(1000)); untilClosed(ctx, c) })),
		"garbage":                  again(4, w.to(w.info.HTTPS, func(ctx context.Context, c net.Conn) { _, _ = c.Write(noise(1000)); untilClosed(ctx, c) })),
		"garbage in the clear":     again(4, w.to(w.info.HTTP, func(ctx context.Context, c net.Conn) { _, _ = c.Write(noise(1000)); untilClosed(ctx, c) })),
		"half a ClientHello": again(20, w.to(w.info.HTTPS, func(ctx context.Context, c net.Conn) {
			_, _ = c.Write([]byte{22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3})
			untilClosed(ctx, c)
		})),
		"silence":             again(100, w.to(w.info.HTTPS, untilClosed)),
		"silence behind TLS":  again(50, https(untilClosed)),
		"connections in vain": again(4, w.to(w.info.HTTPS, func(context.Context, net.Conn) {})),
		"HTTP/2 garbage": again(4, w.to(w.info.HTTP, func(ctx context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+string(noise(1000)))
			untilClosed(ctx, c)
		})),
		"rapid resets": again(1, http2(func(ctx context.Context, c net.Conn) {
			h2Flood(ctx, c, func(b []byte, stream uint32) []byte {
				return h2Frame(h2Frame(b, 1, 5, stream, head2), 3, 0, stream, []byte{0, 0, 0, 8})
			})
		})),
		"pings": again(1, http2(func(ctx context.Context, c net.Conn) {
			h2Flood(ctx, c, func(b []byte, _ uint32) []byte { return h2Frame(b, 6, 0, 0, make([]byte, 8)) })
		})),
		"settings": again(1, http2(func(ctx context.Context, c net.Conn) {
			h2Flood(ctx, c, func(b []byte, _ uint32) []byte { return h2Frame(b, 4, 0, 0, nil) })
		})),
		"continuations": again(1, http2(func(ctx context.Context, c net.Conn) {
			h2Flood(ctx, c, func(b []byte, stream uint32) []byte {
				if stream == 1 {
					return h2Frame(b, 1, 1, 1, head2)
				}
				return h2Frame(b, 9, 0, 1, bytes.Repeat([]byte("\x00\x01x\x01y"), 200))
			})
		})),
		"names nobody has": again(4, func(ctx context.Context) {
			c := Client(w.net, w.cas, true)
			defer c.CloseIdleConnections()
			send(ctx, c, http.MethodGet, fmt.Sprintf("https://a%d.culvert.localhost:%d/", rand.Uint32(), w.info.HTTPSPort), http.NoBody)
		}),
	}
}

// impostor speaks the protocol by hand.
type impostor struct {
	conn net.Conn
	mux  *mux.Session
	peer *wire.Peer
}

// asAgent lets f misbehave once it has authenticated.
func (w *world) asAgent(f func(ctx context.Context, i impostor)) func(context.Context) {
	return w.toTLS(w.info.Agent, "localhost", func(ctx context.Context, c net.Conn) {
		i := impostor{conn: c, mux: mux.New(c, mux.Config{Role: mux.Client})}
		i.peer = wire.NewPeer(i.mux)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer i.mux.Close()
		wg.Go(func() { _ = i.mux.Run(ctx) })
		var resp wire.AuthResp
		auth := wire.Auth{Version: []string{"3"}, Extra: wire.AuthExtra{Authtoken: token, UserAgent: "impostor/1"}}
		if err := i.peer.Call(ctx, wire.TypeAuth, auth, &resp); err == nil && resp.Error == "" {
			f(ctx, i)
		}
	})
}

// bind brings an endpoint online.
func (i impostor) bind(ctx context.Context) string {
	var resp wire.BindResp
	if err := i.peer.Call(ctx, wire.TypeBind, wire.Bind{Proto: "https"}, &resp); err != nil {
		return ""
	}
	return resp.URL
}

// raw writes bytes past the multiplexer and waits for the end.
func (i impostor) raw(ctx context.Context, b []byte) {
	_, _ = i.conn.Write(b)
	select {
	case <-i.mux.Done():
	case <-ctx.Done():
	}
}

// header is one of a frame, true or not.
func header(typ, flags byte, stream uint32, length int) []byte {
	b := []byte{byte(length >> 16), byte(length >> 8), byte(length), typ<<4 | flags}
	return binary.BigEndian.AppendUint32(b, stream)
}

func TestHostileAgent_BesideOrdinaryOnes(t *testing.T) { //nolint:paralleltest // it measures memory
	if w, _ := besieged(t); w != nil {
		attack(t, hostileAgents(w))
		return
	}
	w := newWorld(t, Loopback{}, func(c *node.Config) {
		c.Agents.AuthTimeout, c.Agents.Endpoints = 2*time.Second, 50
	})
	siege(t, w, w.forward(w.agent(""), w.upstream("one")), 64<<20)
	for _, part := range []string{`msg="agent offline"`, "protocol error: WNDINC frame on stream id 0x0"} {
		if w.log.count(part) == 0 {
			t.Errorf("the log does not say %q", part)
		}
	}
}

// hostileAgents are attacks on the server of w by those who connect as agents.
func hostileAgents(w *world) map[string]func(context.Context) {
	agents := w.info.Agent
	behind := func(f func(ctx context.Context, c net.Conn)) func(context.Context) {
		return w.toTLS(agents, "localhost", f)
	}
	return map[string]func(context.Context){
		"never authenticating": again(50, behind(untilClosed)),
		"no TLS":               again(20, w.to(agents, untilClosed)),
		"garbage":              again(4, w.to(agents, func(ctx context.Context, c net.Conn) { _, _ = c.Write(noise(1000)); untilClosed(ctx, c) })),
		"garbage behind TLS":   again(4, behind(func(ctx context.Context, c net.Conn) { _, _ = c.Write(noise(1000)); untilClosed(ctx, c) })),
		"bytes before a token": again(2, behind(func(ctx context.Context, c net.Conn) {
			flood(ctx, c, string(header(1, 2, 1, 1<<24-1)), strings.Repeat("x", 4096))
		})),
		"unknown frames":  again(2, w.asAgent(func(ctx context.Context, i impostor) { i.raw(ctx, header(9, 0, 1, 0)) })),
		"credit for none": again(2, w.asAgent(func(ctx context.Context, i impostor) { i.raw(ctx, append(header(2, 0, 0, 4), 0, 0, 0, 1)) })),
		"giant frames": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			i.raw(ctx, append(header(1, 2, 1001, 1<<24-1), make([]byte, 1<<20)...))
		})),
		"thousands of streams": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			head := binary.BigEndian.AppendUint32(nil, uint32(wire.TypeBind))
			for range 5000 {
				if _, err := i.mux.Open(ctx, head); err != nil {
					return
				}
			}
			<-ctx.Done()
		})),
		"floods of binds": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			for ctx.Err() == nil && i.mux.Err() == nil {
				i.bind(ctx)
			}
		})),
		"streams that nobody takes": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			u, c := i.bind(ctx), Client(w.net, w.cas, true)
			defer c.CloseIdleConnections()
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { send(ctx, c, http.MethodPost, u+"/", &endless{ctx: ctx}) })
			}
			wg.Wait()
		})),
		"answers that never end": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			u, c := i.bind(ctx), Client(w.net, w.cas, false)
			defer c.CloseIdleConnections()
			go func() { // a reader that stops reading
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
				if err != nil {
					return
				}
				if resp, err := c.Do(req); err == nil {
					<-ctx.Done()
					resp.Body.Close()
				}
			}()
			st, err := i.mux.Accept(ctx)
			if err != nil {
				return
			}
			defer st.Close()
			flood(ctx, st, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 4096))
		})),
		"heads that never end": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			u, c := i.bind(ctx), Client(w.net, w.cas, false)
			defer c.CloseIdleConnections()
			go send(ctx, c, http.MethodGet, u, http.NoBody)
			st, err := i.mux.Accept(ctx)
			if err != nil {
				return
			}
			defer st.Close()
			flood(ctx, st, "HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 1000)+"\r\n")
		})),
		"goodbyes": again(2, w.asAgent(func(ctx context.Context, i impostor) {
			i.mux.CloseWith(frame.ProtocolError, fmt.Errorf("hostile"))
			<-i.mux.Done()
		})),
	}
}
