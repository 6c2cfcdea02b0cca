package culvert_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// TestForwardRealSockets: the fast path between a stream and a TCP socket.
func TestForwardRealSockets(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Host, r.URL.Path, len(body))
	}))
	t.Cleanup(up.Close)
	w := newWorld(t, wiretest.Script{})
	f := w.forward(w.agent(), culvert.WithUpstream(up.URL), culvert.WithURL("https://app.test"))
	st := w.dial(f, wire.ProxyHeader{})
	br := bufio.NewReader(st)
	body := strings.Repeat("x", 1<<20)
	for i := range 3 { // on one connection
		req, _ := http.NewRequestWithContext(t.Context(), "POST", fmt.Sprintf("http://app.test/%d", i), strings.NewReader(body))
		go func() { _ = req.Write(st) }()
		resp, err := http.ReadResponse(br, req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("app.test /%d %d", i, len(body)); err != nil || string(got) != want {
			t.Errorf("request %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	_ = st.CloseWrite()
	closed := find(t, w.events, anyEvent[*culvert.EventConnectionClosed])
	if closed.BytesIn < 3<<20 || closed.BytesOut == 0 {
		t.Errorf("closed with %d bytes in and %d out", closed.BytesIn, closed.BytesOut)
	}
}

// TestForwardHalfClose: a request that ends with the end of the input gets its
// answer.
func TestForwardHalfClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	up := w.upstream("127.0.0.1:7", func(c net.Conn) {
		b, _ := io.ReadAll(c)
		_, _ = io.WriteString(c, strings.ToUpper(string(b)))
	})
	a := w.agent()
	for _, addr := range []string{"127.0.0.1:7", "tcp://127.0.0.1:7"} {
		f := w.forward(a, culvert.WithUpstream(addr, up), culvert.WithURL("tcp://"))
		if got := exchange(t, w.dial(f, wire.ProxyHeader{}), "ping"); got != "PING" {
			t.Errorf("%s: got %q, want PING", addr, got)
		}
	}
}

// TestServerSpeaksFirst: nothing waits for the client's bytes.
func TestServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	up := w.upstream("127.0.0.1:22", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") })
	f := w.forward(w.agent(), culvert.WithUpstream("127.0.0.1:22", up), culvert.WithURL("tcp://"))
	if got, err := io.ReadAll(w.dial(f, wire.ProxyHeader{})); err != nil || string(got) != "SSH-2.0-x\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestForwardUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		if c, err := ln.Accept(); err == nil {
			echo(c)
		}
	}()
	w := newWorld(t, wiretest.Script{})
	f := w.forward(w.agent(), culvert.WithUpstream("unix:"+path), culvert.WithURL("https://app.test"))
	if got := exchange(t, w.dial(f, wire.ProxyHeader{}), "ping"); got != "ping" {
		t.Errorf("got %q", got)
	}
}

func TestUpstreamDown(t *testing.T) {
	t.Parallel()
	records := wire.Features{FaultRecord: true}
	tests := []struct {
		name, url string
		features  wire.Features
		opts      []culvert.UpstreamOption
		check     func(got string) bool
	}{
		{"https with fault records", "https://a.test", records, nil, isRecord},
		{"http with fault records", "http://a.test", records, nil, isRecord},
		{"http2 with fault records", "https://a.test", records, []culvert.UpstreamOption{culvert.WithUpstreamProtocol("http2")}, isRecord},
		{"rewritten host with fault records", "https://a.test", records, []culvert.UpstreamOption{culvert.WithUpstreamHostHeader("x")}, isRecord},
		{"https without", "https://a.test", wire.Features{}, nil, func(got string) bool {
			return strings.HasPrefix(got, "HTTP/1.1 502 Bad Gateway\r\n") && strings.Contains(got, "127.0.0.1:81")
		}},
		{"http2 without", "https://a.test", wire.Features{}, []culvert.UpstreamOption{culvert.WithUpstreamProtocol("http2")}, func(got string) bool { return got == "" }},
		{"tcp", "tcp://", records, nil, func(got string) bool { return got == "" }},
		{"tls", "tls://a.test", records, nil, func(got string) bool { return got == "" }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{Features: tc.features})
			opts := append([]culvert.UpstreamOption{culvert.WithUpstreamDialer(memDialer{w.net})}, tc.opts...)
			f := w.forward(w.agent(), culvert.WithUpstream("127.0.0.1:81", opts...), culvert.WithURL(tc.url))
			st := w.dial(f, wire.ProxyHeader{})
			_, _ = io.WriteString(st, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 100_000))
			got, err := io.ReadAll(st)
			if err != nil || !tc.check(string(got)) {
				t.Errorf("got %q, %v", got, err)
			}
			if e := find(t, w.events, anyEvent[*culvert.EventUpstreamDialComplete]); e.Err == nil {
				t.Error("the dial event has no error")
			}
		})
	}
}

func isRecord(got string) bool {
	f, n, err := wire.ParseFault([]byte(got))
	return err == nil && n == len(got) && f.Code == fault.UpstreamUnreachable &&
		strings.Contains(f.Message, "http://127.0.0.1:81") && strings.Contains(f.Message, "connection refused") && f.Remedy != ""
}

// TestUpstreamDialIsBounded: an address that does not answer costs 3 s.
func TestUpstreamDialIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{Features: wire.Features{FaultRecord: true}})
		f := w.forward(w.agent(), culvert.WithUpstream("203.0.113.1:80", culvert.WithUpstreamDialer(blackHole{})))
		st := w.dial(f, wire.ProxyHeader{})
		start := time.Now()
		got, err := io.ReadAll(st)
		if d := time.Since(start); err != nil || d != 3*time.Second || !strings.Contains(string(got), "no answer in time") {
			t.Errorf("got %q, %v after %v, want a record after 3s", got, err, d)
		}
	})
}

// blackHole never connects.
type blackHole struct{}

func (blackHole) Dial(string, string) (net.Conn, error) { select {} }

func (blackHole) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAgent12_UpstreamTLS: verified unless the caller says otherwise; a
// failure names verification.
func TestAgent12_UpstreamTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, endpoint, addr string
		config               *tls.Config
		want                 string
	}{
		{"unknown authority", "https://a.test", "https://localhost:8443", nil, "certificate"},
		{"with the authority", "https://a.test", "https://localhost:8443", &tls.Config{RootCAs: testCA().Pool()}, "ping"},
		{"wrong name", "https://a.test", "https://other.test:8443", &tls.Config{RootCAs: testCA().Pool()}, "certificate"},
		{"not verified", "https://a.test", "https://other.test:8443", &tls.Config{InsecureSkipVerify: true}, "ping"},
		{"tcp endpoint, tls upstream", "tcp://", "tls://localhost:8443", &tls.Config{RootCAs: testCA().Pool()}, "ping"},
		{"tcp endpoint, https upstream", "tcp://", "https://localhost:8443", &tls.Config{RootCAs: testCA().Pool()}, "ping"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{Features: wire.Features{FaultRecord: true}})
			up := w.upstream("127.0.0.1:8443", func(c net.Conn) { echo(tls.Server(c, testCA().ServerTLS())) })
			f := w.forward(w.agent(), culvert.WithUpstream(tc.addr, up, culvert.WithUpstreamTLSClientConfig(tc.config)), culvert.WithURL(tc.endpoint))
			if got := exchange(t, w.dial(f, wire.ProxyHeader{}), "ping"); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			e := find(t, w.events, anyEvent[*culvert.EventUpstreamTLSHandshakeComplete])
			if (e.Err == nil) != (tc.want == "ping") {
				t.Errorf("handshake event: %v", e.Err)
			}
		})
	}
}

// TestTLSPassthroughIsNotWrapped: the client's TLS goes to a TLS upstream as
// it is; TLS that the server has ended is begun again.
func TestTLSPassthroughIsNotWrapped(t *testing.T) {
	t.Parallel()
	for _, passthrough := range []bool{true, false} {
		w := newWorld(t, wiretest.Script{})
		up := w.upstream("127.0.0.1:8443", func(c net.Conn) { echo(tls.Server(c, testCA().ServerTLS())) })
		f := w.forward(w.agent(), culvert.WithUpstream("tls://localhost:8443", up,
			culvert.WithUpstreamTLSClientConfig(&tls.Config{RootCAs: testCA().Pool()})), culvert.WithURL("tls://a.test"))
		var c net.Conn = w.dial(f, wire.ProxyHeader{PassthroughTLS: passthrough})
		if passthrough {
			c = tls.Client(c, &tls.Config{RootCAs: testCA().Pool(), ServerName: "localhost"})
		}
		_, _ = io.WriteString(c, "ping")
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "ping" {
			t.Errorf("passthrough %v: got %q, %v", passthrough, got, err)
		}
	}
}

// TestProxyProtocolComesFirst: the header is ahead of everything, TLS to the
// upstream included (endpoints.md 8.1).
func TestProxyProtocolComesFirst(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("203.0.113.1:443")
	withHeader := func(next func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			h, _, err := proxyproto.Read(c)
			if err != nil || h.Src != src || h.Dst != dst {
				_, _ = io.WriteString(c, "no header")
				return
			}
			next(c)
		}
	}
	tlsEcho := func(c net.Conn) { echo(tls.Server(c, testCA().ServerTLS())) }
	clientTLS := &tls.Config{RootCAs: testCA().Pool(), ServerName: "localhost"}
	tests := []struct {
		name, endpoint, addr string
		upstream             func(net.Conn)
		terminate, client    bool // TLS at the agent, TLS at the client
	}{
		{"raw", "tcp://", "tcp://localhost:9", echo, false, false},
		{"http", "https://a.test", "http://localhost:9", echo, false, false},
		{"ahead of upstream TLS", "tcp://", "tls://localhost:9", tlsEcho, false, false},
		{"ahead of upstream TLS on https", "https://a.test", "https://localhost:9", tlsEcho, false, false},
		{"ahead of passthrough", "tls://a.test", "tls://localhost:9", tlsEcho, false, true},
		{"ahead of the plaintext", "tls://a.test", "tcp://localhost:9", echo, true, true},
		{"ahead of TLS begun again", "tls://a.test", "tls://localhost:9", tlsEcho, true, true},
	}
	for _, version := range []int{1, 2} {
		for _, tc := range tests {
			t.Run(fmt.Sprintf("v%d %s", version, tc.name), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, wiretest.Script{})
				up := w.upstream("127.0.0.1:9", withHeader(tc.upstream))
				opts := []culvert.EndpointOption{culvert.WithURL(tc.endpoint)}
				if tc.terminate {
					opts = append(opts, culvert.WithAgentTLSTermination(testCA().ServerTLS()))
				}
				f := w.forward(w.agent(), culvert.WithUpstream(tc.addr, up,
					culvert.WithUpstreamProxyProto(culvert.ProxyProtoVersion(fmt.Sprintf("v%d", version))),
					culvert.WithUpstreamTLSClientConfig(clientTLS)), opts...)
				st := w.dial(f, wire.ProxyHeader{PassthroughTLS: tc.client})
				if _, err := st.Write(proxyproto.Append(nil, version, src, dst)); err != nil {
					t.Fatal(err)
				}
				var c net.Conn = st
				if tc.client {
					c = tls.Client(st, clientTLS)
				}
				_, _ = io.WriteString(c, "ping")
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
				if got, err := io.ReadAll(c); err != nil || string(got) != "ping" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
}

func TestHostHeader(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			hj, rw, _ := w.(http.Hijacker).Hijack()
			defer hj.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			_, _ = hj.Write([]byte(strings.ToUpper(line)))
			return
		}
		fmt.Fprintf(w, "%s|%s|%s|%s", r.Host, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-For"), r.URL)
	}))
	t.Cleanup(up.Close)
	host := strings.TrimPrefix(up.URL, "http://")
	tests := []struct{ header, want string }{
		{"rewrite", host + "|app.test|198.51.100.7|/p?a=1;b"},
		{"x.example", "x.example|app.test|198.51.100.7|/p?a=1;b"},
		{"preserve", "app.test||198.51.100.7|/p?a=1;b"},
	}
	for _, tc := range tests {
		t.Run(tc.header, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{})
			f := w.forward(w.agent(), culvert.WithUpstream(up.URL, culvert.WithUpstreamHostHeader(tc.header)), culvert.WithURL("https://app.test"))
			st := w.dial(f, wire.ProxyHeader{})
			br := bufio.NewReader(st)
			for range 2 {
				_, _ = io.WriteString(st, "GET /p?a=1;b HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n")
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := io.ReadAll(resp.Body); string(got) != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			}
			_, _ = io.WriteString(st, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatalf("upgrade: %v, %v", resp, err)
			}
			_, _ = io.WriteString(st, "ping\n")
			if got, err := br.ReadString('\n'); err != nil || got != "PING\n" {
				t.Errorf("after the upgrade: got %q, %v", got, err)
			}
		})
	}
}

func TestUpdateUpstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	up := w.upstream("127.0.0.1:1001", func(c net.Conn) { _, _ = io.WriteString(c, "one") })
	w.upstream("127.0.0.1:1002", func(c net.Conn) { _, _ = io.WriteString(c, "two") })
	f := w.forward(w.agent(), culvert.WithUpstream("127.0.0.1:1001", up), culvert.WithURL("tcp://"))
	for port, want := range map[string]string{"1001": "one", "1002": "two"} {
		f.(culvert.UpdateableEndpointForwarder).UpdateUpstream(url.URL{Scheme: "tcp", Host: "127.0.0.1:" + port})
		if got, err := io.ReadAll(w.dial(f, wire.ProxyHeader{})); err != nil || string(got) != want {
			t.Errorf("port %s: got %q, %v, want %q", port, got, err, want)
		}
	}
	f.(culvert.UpdateableEndpointForwarder).UpdateUpstream(url.URL{Scheme: "ftp", Host: "x"})
	if u := f.UpstreamURL(); u.Scheme != "tcp" {
		t.Errorf("upstream after a bad update: %s", u.String())
	}
}

// TestAgent40_HTTPRequestEvents: requests are reported, raw or rewritten, with
// a PROXY header in front or without.
func TestAgent40_HTTPRequestEvents(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(up.Close)
	tests := []struct {
		name   string
		agent  culvert.AgentOption
		up     culvert.UpstreamOption
		events bool
	}{
		{"raw", nil, nil, true},
		{"rewritten", nil, culvert.WithUpstreamHostHeader("rewrite"), true},
		{"not wanted", culvert.WithHTTPRequestEvents(false), nil, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{})
			f := w.forward(w.agent(tc.agent), culvert.WithUpstream(up.URL, tc.up), culvert.WithURL("https://app.test"))
			st := w.dial(f, wire.ProxyHeader{})
			br := bufio.NewReader(st)
			for _, request := range []string{
				"POST /echo?secret HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nping",
				"GET /missing HTTP/1.1\r\nHost: app.test\r\n\r\n",
			} {
				_, _ = io.WriteString(st, request)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			_ = st.CloseWrite()
			find(t, w.events, anyEvent[*culvert.EventConnectionClosed])
			if !tc.events {
				if n := count[*culvert.EventHTTPRequestComplete](w.events); n != 0 {
					t.Errorf("%d events, want none", n)
				}
				return
			}
			for path, want := range map[string]string{"/echo": "POST 200", "/missing": "GET 404"} {
				e := find(t, w.events, func(e *culvert.EventHTTPRequestComplete) bool { return e.Path == path })
				if got := fmt.Sprint(e.Method, " ", e.StatusCode); got != want || e.Endpoint != culvert.Endpoint(f) {
					t.Errorf("%s: got %s, want %s", path, got, want)
				}
			}
		})
	}
}

// TestHTTPRequestEventsWithoutUpstream: a request that no upstream took is
// reported as the client saw it.
func TestHTTPRequestEventsWithoutUpstream(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]culvert.UpstreamOption{"raw": nil, "rewritten": culvert.WithUpstreamHostHeader("rewrite")} {
		for _, records := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fault records %v", name, records), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, wiretest.Script{Features: wire.Features{FaultRecord: records}})
				f := w.forward(w.agent(), culvert.WithUpstream("http://127.0.0.1:81", option, culvert.WithUpstreamDialer(memDialer{w.net})), culvert.WithURL("https://app.test"))
				st := w.dial(f, wire.ProxyHeader{})
				_, _ = io.WriteString(st, "PUT /x?secret HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nping")
				_ = st.CloseWrite()
				_, _ = io.Copy(io.Discard, st)
				e := find(t, w.events, anyEvent[*culvert.EventHTTPRequestComplete])
				if got := fmt.Sprint(e.Method, " ", e.Path, " ", e.StatusCode); got != "PUT /x 502" {
					t.Errorf("got %s, want PUT /x 502", got)
				}
			})
		}
	}
}
