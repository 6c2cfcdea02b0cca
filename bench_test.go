package culvert_test

import (
	"io"
	"net"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// benchForward returns a dialler for an endpoint that is forwarded over
// loopback to an upstream that runs serve.
func benchForward(b *testing.B, url string, serve func(net.Conn), opts ...culvert.AgentOption) func() net.Conn {
	b.Helper()
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { ln.Close() })
		return ln
	}
	up := listen()
	go func() {
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	agents := listen()
	server := wiretest.New(testCA(), wiretest.Script{})
	go server.Serve(agents)
	b.Cleanup(server.Close)
	a, err := culvert.NewAgent(append(opts, culvert.WithAgentConnectURL(agents.Addr().String()),
		culvert.WithCAFingerprint(testCA().Fingerprint()))...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Disconnect() })
	f, err := a.Forward(b.Context(), culvert.WithUpstream(up.Addr().String()), culvert.WithURL(url))
	if err != nil {
		b.Fatal(err)
	}
	return func() net.Conn {
		st, err := server.Dial(b.Context(), f.URL().String(), wire.ProxyHeader{})
		if err != nil {
			b.Fatal(err)
		}
		return st
	}
}

// BenchmarkConnection is one short forwarded connection: dial, 64 bytes there
// and back, close.
func BenchmarkConnection(b *testing.B) {
	dial := benchForward(b, "tcp://", echo)
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		c := dial()
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}

// BenchmarkExchange is one HTTP exchange on a connection that is kept, with
// and without the observer.
func BenchmarkExchange(b *testing.B) {
	request := []byte("GET / HTTP/1.1\r\nHost: app.test\r\nAccept: */*\r\n\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	serve := func(c net.Conn) {
		in := make([]byte, len(request))
		for {
			if _, err := io.ReadFull(c, in); err != nil {
				return
			}
			if _, err := c.Write(response); err != nil {
				return
			}
		}
	}
	for name, opt := range map[string]culvert.AgentOption{
		"raw": nil, "observed": culvert.WithEventHandler(func(culvert.Event) {}),
	} {
		b.Run(name, func(b *testing.B) {
			c := benchForward(b, "https://app.test", serve, opt)()
			in := make([]byte, len(response))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBulk is one connection that carries as much as it can from the
// upstream to the client.
func BenchmarkBulk(b *testing.B) {
	chunk := make([]byte, 64<<10)
	c := benchForward(b, "tcp://", func(c net.Conn) {
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})()
	buf := make([]byte, len(chunk))
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}
