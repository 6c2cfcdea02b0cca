package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
)

func TestLimitsPerSource(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(Limits{SourceConnections: 3, SourceRate: 5}.withDefaults())
	try := func(addr string) bool {
		_, ok := l.admit(netip.MustParseAddr(addr), now)
		return ok
	}
	for _, addr := range []string{"192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"} {
		if !try(addr) {
			t.Fatalf("%s: refused within the limit", addr)
		}
	}
	if try("192.0.2.1") {
		t.Error("a fourth connection was let in")
	}
	if !try("192.0.2.2") {
		t.Error("another source was refused")
	}
	for _, addr := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3%eth0"} {
		if !try(addr) {
			t.Fatalf("%s: refused within the limit", addr)
		}
	}
	if try("2001:db8::4") {
		t.Error("a fourth connection of one /64 was let in")
	}
	if !try("2001:db8:0:1::1") {
		t.Error("the next /64 was refused")
	}
	for range 100 {
		if !try("127.0.0.1") || !try("::1") {
			t.Fatal("loopback was refused")
		}
	}
}

func TestT75_HandshakesOfOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(Limits{SourceRate: 5}.withDefaults())
	count := func() (n int) {
		for range 20 {
			from, ok := l.admit(netip.MustParseAddr("192.0.2.1"), now)
			if ok {
				n++
				l.leaveSource(from)
			}
		}
		return n
	}
	if got := count(); got != 5 {
		t.Errorf("at once: %d of 20, want 5", got)
	}
	now = now.Add(400 * time.Millisecond)
	if got := count(); got != 2 {
		t.Errorf("0.4 s later: %d of 20, want 2", got)
	}
	now = now.Add(time.Hour)
	if got := count(); got != 5 {
		t.Errorf("after a pause: %d of 20, want 5", got)
	}
}

func TestLimiterForgetsSources(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(Limits{}.withDefaults())
	kept, _ := l.admit(netip.MustParseAddr("192.0.2.255"), now)
	for i := range 200 {
		from, ok := l.admit(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), now)
		if !ok {
			t.Fatal("refused")
		}
		l.leaveSource(from)
	}
	now = now.Add(time.Minute)
	l.admit(netip.MustParseAddr("198.51.100.1"), now)
	if n := len(l.sources); n != 2 {
		t.Errorf("%d sources remembered, want the two that have connections", n)
	}
	l.leaveSource(kept)
}

// What is configured as no limit must not be one that nothing passes.
func TestNegativeLimitsAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) {
			limits := reflect.ValueOf(&c.Limits).Elem()
			for i := range limits.NumField() {
				limits.Field(i).SetInt(-1)
			}
			c.StartedAt = time.Now()
		})
		up := answer(t, "HTTP/1.1 204 No Content\r\n\r\n")
		w.online("https://app.example.com", up)
		for _, c := range []*http.Client{w.h1(), w.h2()} {
			if got := do(t, c, "GET", "https://app.example.com/", nil); got.StatusCode != 204 {
				t.Errorf("online: got %d, want 204", got.StatusCode)
			}
			c.CloseIdleConnections()
		}
		time.AfterFunc(returnWait/2, func() { w.online("http://late.example.com", up) })
		c := w.h1()
		if got := do(t, c, "GET", "http://late.example.com/", nil); got.StatusCode != 204 {
			t.Errorf("awaited: got %d, want 204", got.StatusCode)
		}
		c.CloseIdleConnections()
	})
}

func TestSourcesOverTheLimitAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Limits.SourceConnections = 1 })
		w.online("http://app.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"))
		ask := func(c net.Conn) {
			t.Helper()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
			wantRead(t, c, "HTTP/1.1 204")
		}
		first := w.connect("192.0.2.1", plainAddr)
		ask(first)
		wantClosed(t, w.connect("192.0.2.1", plainAddr))
		ask(w.connect("192.0.2.2", plainAddr))
		ask(w.connect("127.0.0.1", plainAddr))
		ask(w.connect("127.0.0.1", plainAddr))
		_ = first.Close()
		synctest.Wait()
		ask(w.connect("192.0.2.1", plainAddr))
	})
}

func TestF30_AcceptIsPausedWhileTheServerIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost, func(c *Config) { c.Limits.Connections = 2 })
		w.claim()
		w.online(tcpURL, echo(t, ""))
		a, b := w.connect("127.0.0.1", tcpAddr), w.connect("127.0.0.1", tcpAddr)
		wantEcho(t, a, "a")
		wantEcho(t, b, "b")
		c := w.connect("127.0.0.1", tcpAddr)
		served := false
		go func() {
			_, _ = io.WriteString(c, "c")
			_, err := io.ReadFull(c, make([]byte, 1))
			served = err == nil
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if served {
			t.Fatal("a third connection was served")
		}
		wantEcho(t, a, "a goes on")
		_ = b.Close()
		synctest.Wait()
		if !served {
			t.Error("the third connection was not served after one had ended")
		}
	})
}

// failing is a listener whose first accepts fail.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestT73_AcceptingSurvivesTheLackOfDescriptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *failing
		w := newWorld(t, func(c *Config) {
			open := c.Listen
			c.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
				nl, err := open(ctx, network, addr)
				if addr == plainAddr {
					l = &failing{Listener: nl}
					l.left.Store(20)
					return l, err
				}
				return nl, err
			}
		})
		w.online("http://app.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"))
		start := time.Now()
		wantStatus(t, do(t, w.h1(), "GET", "http://app.example.com/", nil), http.StatusNoContent, "")
		if d := time.Since(start); d < 5*time.Second || d > 20*time.Second {
			t.Errorf("served after %v; want pauses that grow to a second", d)
		}
	})
}

func TestListenFailureNamesAddressAndSetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.cfg
	cfg.HTTPAddr = "127.0.0.1:81"
	s := New(cfg)
	err := s.Run(t.Context())
	f := fault.From(err)
	if f.Code != fault.ListenFailed || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v, want %s", err, fault.ListenFailed)
	}
	if l, err := w.net.Listen("tcp", "127.0.0.1:81"); err != nil {
		t.Errorf("the other listener is still open: %v", err)
	} else {
		_ = l.Close()
	}
}

func TestT10_TrustedProxyTellsTheClient(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddrPort("198.51.100.9:1234"), netip.MustParseAddrPort("192.0.2.80:80")
	trust := func(c *Config) {
		tcpHost(c)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}
	w := newWorld(t, trust)
	w.claim()
	up, streams := agent(t)
	w.online(tcpURL, up)
	w.online("tls://app.example.com", up)
	w.online("http://app.example.com", up)
	hello := clientHello(t, "app.example.com")
	request := []byte("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
	for version := 1; version <= 2; version++ {
		for addr, first := range map[string][]byte{tcpAddr: nil, tlsAddr: hello, plainAddr: request} {
			c := w.connect("10.1.2.3", addr)
			_, _ = c.Write(append(proxyproto.Append(nil, version, src, dst), first...))
			if st := <-streams; st.h.ClientAddr != src.String() {
				t.Errorf("version %d on %s: client %s, want %s", version, addr, st.h.ClientAddr, src)
			}
			_ = c.Close()
		}
	}
	c := w.connect("10.1.2.3", tcpAddr)
	_, _ = io.WriteString(c, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
	if st := <-streams; st.h.ClientAddr != c.LocalAddr().String() {
		t.Errorf("LOCAL: client %s, want the proxy %s", st.h.ClientAddr, c.LocalAddr())
	}
	wantClosedAfter := func(from, addr, send string) {
		t.Helper()
		c := w.connect(from, addr)
		_, _ = io.WriteString(c, send)
		wantClosed(t, c)
	}
	wantClosedAfter("10.1.2.3", tcpAddr, "SSH-2.0-without a header\r\n")
	wantClosedAfter("10.1.2.3", plainAddr, string(request))
	// From others it is part of the traffic.
	c = w.connect("192.0.2.1", tcpAddr)
	head := proxyproto.Append(nil, 1, src, dst)
	_, _ = c.Write(head)
	st := <-streams
	if st.h.ClientAddr != c.LocalAddr().String() {
		t.Errorf("untrusted: client %s, want %s", st.h.ClientAddr, c.LocalAddr())
	}
	wantRead(t, st, string(head))
	c = w.connect("192.0.2.1", tlsAddr)
	_, _ = c.Write(append(head, hello...))
	if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 400") {
		t.Errorf("untrusted on the TLS port: got %q, %v; want it refused", got, err)
	}
}

func TestT10_HalfAHeaderIsGivenUpAfter3s(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tcpHost, func(c *Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		})
		w.claim()
		w.online(tcpURL, refused(t))
		start := time.Now()
		c := w.connect("10.1.2.3", tcpAddr)
		_, _ = io.WriteString(c, "PROXY TCP4 192.0.2.1")
		_, err := c.Read(make([]byte, 1))
		if d := time.Since(start); err == nil || d != 3*time.Second {
			t.Errorf("closed after %v with %v, want 3s", d, err)
		}
	})
}
