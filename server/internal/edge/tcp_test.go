package edge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

const (
	tcpPort = 20001
	tcpAddr = "127.0.0.1:20001"
	tcpURL  = "tcp://example.com:20001"
)

func tcpHost(c *Config) { c.TCPHost = "127.0.0.1" }

// claim opens the port of the TCP tests.
func (w *world) claim() {
	w.t.Helper()
	if err := w.srv.Claim(tcpPort); err != nil {
		w.t.Fatal(err)
	}
}

func TestTCPServerMaySpeakFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	w.online(tcpURL, echo(t, "SSH-2.0-test\r\n"))
	c := w.connect(clientIP, tcpAddr)
	wantRead(t, c, "SSH-2.0-test\r\n")
	wantEcho(t, c, "ping")
}

func TestTCPStreamHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	up, streams := agent(t)
	w.online(tcpURL, up)
	c := w.connect(clientIP, tcpAddr)
	st := <-streams
	if st.h.ClientAddr != c.LocalAddr().String() || st.h.Proto != "tcp" || st.h.PassthroughTLS {
		t.Errorf("got %+v, want tcp from %v", st.h, c.LocalAddr())
	}
}

func TestT79_TCPHalfClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	up, streams := agent(t)
	w.online(tcpURL, up)
	t.Run("client first", func(t *testing.T) {
		t.Parallel()
		c := w.connect(clientIP, tcpAddr)
		st := <-streams
		_, _ = io.WriteString(c, "request")
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(st); string(got) != "request" || err != nil {
			t.Errorf("the upstream read %q, %v", got, err)
		}
		_, _ = io.WriteString(st, "response")
		close(st.done)
		if got, err := io.ReadAll(c); string(got) != "response" || err != nil {
			t.Errorf("the client read %q, %v", got, err)
		}
	})
	t.Run("upstream first", func(t *testing.T) {
		t.Parallel()
		c := w.connect(clientIP, tcpAddr)
		st := <-streams
		_, _ = io.WriteString(st, "greeting")
		_ = st.CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "greeting" || err != nil {
			t.Errorf("the client read %q, %v", got, err)
		}
		_, _ = io.WriteString(c, "late")
		_ = c.Close()
		if got, err := io.ReadAll(st); string(got) != "late" || err != nil {
			t.Errorf("the upstream read %q, %v", got, err)
		}
	})
}

// TestTCPOverSockets runs the path that real connections take, on real
// sockets: bulk both ways at once, and half-close.
func TestTCPOverSockets(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	var port uint16
	w := newWorld(t, tcpHost, func(c *Config) {
		c.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
			l, err := new(net.ListenConfig).Listen(ctx, network, "127.0.0.1:0")
			if err == nil && addr == tcpAddr {
				port = netx.AddrPort(l.Addr()).Port()
			}
			return l, err
		}
	})
	w.claim()
	w.online(tcpURL, echo(t, ""))
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(c, io.LimitReader(zeros{}, size))
		_ = c.(*net.TCPConn).CloseWrite()
	})
	n, err := io.Copy(io.Discard, c)
	wg.Wait()
	if n != size || err != nil {
		t.Errorf("got back %d bytes, %v; want %d", n, err, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestEndpoints31_TCPConnectionsAreSpreadOverThePool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	w.online(tcpURL, echo(t, "a"))
	w.online(tcpURL, echo(t, "b"))
	counts := map[string]int{}
	for range 20 {
		c := w.connect(clientIP, tcpAddr)
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			t.Fatal(err)
		}
		counts[string(first)]++
		_ = c.Close()
	}
	if counts["a"] != 10 || counts["b"] != 10 {
		t.Errorf("20 connections went %v, want 10 to each member", counts)
	}
}

func TestEndpoints33_GoneMemberGetsNoConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	gone := w.online(tcpURL, refused(t))
	w.online(tcpURL, echo(t, "b"))
	w.offline(gone)
	for range 10 {
		wantRead(t, w.connect(clientIP, tcpAddr), "b")
	}
}

func TestEndpoints38_PROXYHeaderComesFirst(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 2; version++ {
		for _, url := range []string{tcpURL, "tls://app.example.com"} {
			w := newWorld(t, tcpHost)
			w.claim()
			up, streams := agent(t)
			w.online(url, up, func(e *route.Endpoint) { e.ProxyProto = version })
			addr, first := tcpAddr, []byte("hello")
			if url != tcpURL {
				addr, first = tlsAddr, clientHello(t, "app.example.com")
			}
			c := w.connect(clientIP, addr)
			if _, err := c.Write(first); err != nil {
				t.Fatal(err)
			}
			st := <-streams
			h, raw, err := proxyproto.Read(st)
			if err != nil || h.Version != version || h.Src != netx.AddrPort(c.LocalAddr()) || h.Dst != netx.AddrPort(c.RemoteAddr()) {
				t.Errorf("%s, version %d: got %q, %v", url, version, raw, err)
			}
			wantRead(t, st, string(first))
		}
	}
}

func TestTCPDialFailureClosesTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	w.online(tcpURL, dialer(func(context.Context, wire.ProxyHeader) (net.Conn, error) { return nil, errors.New("gone") }))
	wantClosed(t, w.connect(clientIP, tcpAddr))
}

func TestTCPUpstreamThatBreaksOffIsNoCleanEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	up, streams := agent(t)
	w.online(tcpURL, up)
	c := w.connect(clientIP, tcpAddr)
	st := <-streams
	_, _ = io.WriteString(st, "half")
	wantRead(t, c, "half")
	st.Abort()
	wantClosed(t, c)
}

func TestTCPPortWithoutEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	start := time.Now()
	wantClosed(t, w.connect(clientIP, tcpAddr))
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("closed after %v, want at once: nobody is expected", d)
	}
}

func TestClaimAndRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	if err := w.srv.Claim(tcpPort); err == nil {
		t.Error("claimed twice")
	}
	other, err := w.net.Listen("tcp", "127.0.0.1:20002")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := w.srv.Claim(20002); err == nil {
		t.Error("claimed a port that another program has")
	}
	if got := w.srv.Addrs(); len(got) != 3 || got[2] != (Addr{endpoint.TCP, tcpPort, netip.MustParseAddrPort(tcpAddr)}) {
		t.Errorf("Addrs = %v", got)
	}
	w.online(tcpURL, echo(t, ""))
	c := w.connect(clientIP, tcpAddr)
	wantEcho(t, c, "before")
	w.srv.Release(tcpPort)
	w.srv.Release(tcpPort)
	wantEcho(t, c, "after")
	if _, err := w.net.Dial(t.Context(), "tcp", tcpAddr); err == nil {
		t.Error("the port is still open")
	}
	w.claim()
	wantEcho(t, w.connect(clientIP, tcpAddr), "again")
}

func TestClaimWithoutRun(t *testing.T) {
	t.Parallel()
	if err := New(Config{Router: route.NewRouter()}).Claim(tcpPort); err == nil {
		t.Error("claimed a port of a server that does not run")
	}
}

func TestT79_TCPIdleConnectionEndsAfterFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost)
		w.claim()
		w.online(tcpURL, echo(t, ""))
		c := w.connect(clientIP, tcpAddr)
		wantEcho(t, c, "x")
		time.Sleep(4 * time.Minute)
		wantEcho(t, c, "still here")
		start := time.Now()
		_, err := c.Read(make([]byte, 1))
		if d := time.Since(start); err == nil || d < 4*time.Minute || d > 7*time.Minute {
			t.Errorf("ended after %v with %v, want after about 5 minutes", d, err)
		}
	})
}

func TestTCPAccessLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := newWorld(t, tcpHost, func(c *Config) { c.AccessLog = slog.New(slog.NewTextHandler(&log, nil)) })
		w.claim()
		w.online(tcpURL, echo(t, "1234"))
		c := w.connect(clientIP, tcpAddr)
		wantRead(t, c, "1234")
		wantEcho(t, c, "ping")
		_ = c.Close()
		synctest.Wait()
		for _, want := range []string{"msg=connection", "client=" + clientIP, "scheme=tcp", "port=20001", "bytes=8", "received=4", "endpoint=ep_example.com"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("access log %q lacks %q", log.String(), want)
			}
		}
	})
}

// expecting makes the edge wait for lost agents: it lost one right now.
func (w *world) expecting(e *route.Endpoint) {
	w.router.Expect(e.Key, time.Now().Add(15*time.Second))
	w.offline(e)
}

func TestD5_TCPAndTLSWaitForAnAgentThatIsExpectedBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, addr string }{{tcpURL, tcpAddr}, {"tls://app.example.com", tlsAddr}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, tcpHost)
			w.claim()
			w.expecting(w.online(tt.url, refused(t)))
			c := w.connect(clientIP, tt.addr)
			hello := clientHello(t, "app.example.com")
			_, _ = c.Write(hello)
			time.Sleep(2 * time.Second)
			up, streams := agent(t)
			w.online(tt.url, up)
			wantRead(t, (<-streams).Stream, string(hello))
		})
	}
}

func TestD5_WaitIsBoundedInTimeAndNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost, func(c *Config) { c.Limits.Waiting = 2 })
		w.claim()
		w.expecting(w.online(tcpURL, refused(t)))
		start := time.Now()
		waited := make(chan time.Duration, 3)
		for range 3 {
			c := w.connect(clientIP, tcpAddr)
			go func() {
				_, _ = c.Read(make([]byte, 1))
				waited <- time.Since(start)
			}()
			synctest.Wait()
		}
		if got := [3]time.Duration{<-waited, <-waited, <-waited}; got != [3]time.Duration{0, 3 * time.Second, 3 * time.Second} {
			t.Errorf("closed after %v; want one at once and two after 3 s", got)
		}
		time.Sleep(15 * time.Second)
		start = time.Now()
		wantClosed(t, w.connect(clientIP, tcpAddr))
		if d := time.Since(start); d != 0 {
			t.Errorf("15 s after the loss: closed after %v, want at once", d)
		}
	})
}

func TestD5_AfterAStartAgentsAreAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.StartedAt = time.Time{} })
		c := w.connect(clientIP, tlsAddr)
		hello := clientHello(t, "app.example.com")
		_, _ = c.Write(hello)
		time.Sleep(time.Second)
		up, streams := agent(t)
		w.online("tls://app.example.com", up)
		wantRead(t, (<-streams).Stream, string(hello))
	})
}

// TestJoinWithoutAStream covers upstreams that are no streams.
func TestJoinWithoutAStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	l, err := w.net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
	w.online(tcpURL, dialer(func(ctx context.Context, _ wire.ProxyHeader) (net.Conn, error) {
		return w.net.Dial(ctx, "tcp", l.Addr().String())
	}))
	c := w.connect(clientIP, tcpAddr)
	wantEcho(t, c, "ping")
	_ = c.Close()
	wg.Wait()
}
