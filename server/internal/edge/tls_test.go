package edge

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// clientHello returns the first record of a client that asks for a name.
func clientHello(t testing.TB, name string) []byte {
	t.Helper()
	near, far := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(near, &tls.Config{ServerName: name}).HandshakeContext(ctx)
	}()
	defer func() { cancel(); <-done; _ = far.Close() }()
	head := make([]byte, 5)
	if _, err := io.ReadFull(far, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// mutual makes an endpoint demand client certificates of a CA.
func mutual(p *pki) func(*route.Endpoint) {
	return func(e *route.Endpoint) {
		e.TLS = &route.TLSSettings{Terminate: true, ClientCAs: p.pool(), ID: "mutual " + p.cert.Subject.CommonName}
	}
}

func TestEndpoints15_ClientWithoutSNIIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", refused(t))
	w.online("tls://tls.example.com", refused(t))
	_, err := w.tls(&tls.Config{InsecureSkipVerify: true})
	wantAlert(t, err, alertMissingExtension)
}

func TestEndpoints15_SilentClientIsClosedAfter3s(t *testing.T) {
	t.Parallel()
	for _, send := range []string{"", "\x16\x03\x01\x02"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c := w.connect(clientIP, tlsAddr)
			_, _ = io.WriteString(c, send)
			start := time.Now()
			_, err := c.Read(make([]byte, 1))
			if d := time.Since(start); err == nil || d != 3*time.Second {
				t.Errorf("after %d bytes: closed after %v with %v, want 3s", len(send), d, err)
			}
		})
	}
}

func TestEndpoints16_PassthroughShowsTheUpstreamsCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, roots := newTestCerts(t, "app.example.com")
	var seen bytes.Buffer
	up := session(t, func(st *mux.Stream, h wire.ProxyHeader) {
		if h.Proto != "tls" || !h.PassthroughTLS {
			t.Errorf("header %+v, want passthrough", h)
		}
		c := tls.Server(tapped{st, &seen}, &tls.Config{Certificates: []tls.Certificate{*own["app.example.com"]}})
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
	w.online("tls://app.example.com", up)
	c, err := w.tls(&tls.Config{ServerName: "app.example.com", RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, c, "a secret of the client")
	if strings.Contains(seen.String(), "secret") {
		t.Error("plaintext passed the edge")
	}
}

// tapped keeps what is read from a stream.
type tapped struct {
	net.Conn
	seen *bytes.Buffer
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

func TestEndpoints17_TerminationAtTheEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, roots := newTestCerts(t, "own.example.com")
	tests := []struct {
		host     string
		settings *route.TLSSettings
		roots    *x509.CertPool
	}{
		{"app.example.com", &route.TLSSettings{Terminate: true, ID: "a"}, w.roots},
		{"own.example.com", &route.TLSSettings{Terminate: true, ID: "b", Certificate: own["own.example.com"]}, roots},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			up, streams := agent(t)
			w.online("tls://"+tt.host, up, func(e *route.Endpoint) { e.TLS = tt.settings })
			c, err := w.tls(&tls.Config{ServerName: tt.host, RootCAs: tt.roots})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "plaintext")
			st := <-streams
			wantRead(t, st, "plaintext")
			if st.h.Proto != "tls" || st.h.PassthroughTLS {
				t.Errorf("header %+v, want tls without passthrough", st.h)
			}
			if p := c.ConnectionState().NegotiatedProtocol; p != "" {
				t.Errorf("negotiated %q, want nothing: the protocol is not ours to choose", p)
			}
			// Half-close from the upstream reaches the client as a TLS end.
			_ = st.CloseWrite()
			if got, err := io.ReadAll(c); len(got) != 0 || err != nil {
				t.Errorf("read %q, %v; want a clean end", got, err)
			}
			close(st.done)
		})
	}
}

func TestEndpoints17_MutualTLSRefusesBeforeTheUpstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca, other := newPKI(t, "ours"), newPKI(t, "other")
	w.online("tls://tls.example.com", refused(t), mutual(ca))
	w.online("https://web.example.com", refused(t), mutual(ca))
	clients := map[string][]tls.Certificate{
		"none":         nil,
		"wrong issuer": {other.client()},
		"wrong usage": {ca.client(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})},
		"expired": {ca.client(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1, 0)
		})},
	}
	for name, certs := range clients {
		for _, host := range []string{"tls.example.com", "web.example.com"} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c, err := w.tls(&tls.Config{ServerName: host, MaxVersion: version, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(certs) == 0 {
						return &tls.Certificate{}, nil
					}
					return &certs[0], nil
				}})
				if err == nil {
					// With TLS 1.3 the client hears of it with its first read.
					_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: web.example.com\r\n\r\n")
					_, err = c.Read(make([]byte, 1))
				}
				if _, ok := errors.AsType[*net.OpError](err); !ok {
					t.Errorf("%s, %s, version %#x: got %v, want an alert", name, host, version, err)
				}
			}
		}
	}
	up, streams := agent(t)
	w.online("tls://good.example.com", up, mutual(ca))
	c, err := w.tls(&tls.Config{ServerName: "good.example.com", Certificates: []tls.Certificate{ca.client()}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "hello")
	wantRead(t, (<-streams).Stream, "hello")
}

func TestT75_LargeClientKeysAreRefused(t *testing.T) {
	t.Parallel()
	cert := func(bits int) *x509.Certificate {
		n := make([]byte, bits/8)
		_, _ = rand.Read(n)
		n[0] |= 0x80
		k := &rsa.PublicKey{E: 65537}
		k.N = newInt(n)
		return &x509.Certificate{PublicKey: k}
	}
	for bits, want := range map[int]bool{2048: true, 4096: true, 4104: false, 8192: false} {
		err := checkClientKeys(nil, [][]*x509.Certificate{{cert(bits)}})
		if (err == nil) != want {
			t.Errorf("%d bits: %v, want accepted %t", bits, err, want)
		}
	}
}

func TestT15_EmptyListOfClientCAsRefusesEveryone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("tls://app.example.com", refused(t), func(e *route.Endpoint) {
		e.TLS = &route.TLSSettings{Terminate: true, ClientCAs: x509.NewCertPool(), ID: "empty"}
	})
	cert := newPKI(t, "any").client()
	c, err := w.tls(&tls.Config{ServerName: "app.example.com", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &cert, nil
	}})
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a client got through")
	}
}

func TestT12_SpellingOfTheNameDoesNotPassMutualTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", refused(t), mutual(newPKI(t, "ours")))
	w.online("https://*.example.com", refused(t))
	for _, name := range []string{"app.example.com", "APP.example.com", "App.Example.COM"} {
		c, err := w.tls(&tls.Config{ServerName: name})
		if err == nil {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
			_, err = c.Read(make([]byte, 1))
		}
		wantAlert(t, err, 116) // certificate_required
	}
	// crypto/tls cuts off a trailing dot, so the raw bytes are made here.
	hello := clientHello(t, "app.example.comm")
	c := w.connect(clientIP, tlsAddr)
	_, _ = c.Write(bytes.Replace(hello, []byte("app.example.comm"), []byte("app.example.com."), 1))
	got, _ := io.ReadAll(c)
	if len(got) != 7 || got[0] != 0x15 {
		t.Errorf("trailing dot: got %x, want an alert", got)
	}
}

func TestT13_FragmentedClientHelloDoesNotPassMutualTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", refused(t), mutual(newPKI(t, "ours")))
	w.online("https://*.example.com", refused(t))
	c := tls.Client(fragmented{w.connect(clientIP, tlsAddr)}, &tls.Config{ServerName: "app.example.com", RootCAs: w.roots})
	err := c.HandshakeContext(t.Context())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	wantAlert(t, err, 116) // certificate_required
}

// fragmented sends its first record as many of ten bytes.
type fragmented struct{ net.Conn }

func (f fragmented) Write(b []byte) (int, error) {
	if len(b) < 6 || b[0] != 0x16 || b[5] != 1 {
		return f.Conn.Write(b)
	}
	var out []byte
	for part := b[5:]; len(part) > 0; part = part[min(10, len(part)):] {
		p := part[:min(10, len(part))]
		out = append(out, 0x16, 3, 1, 0, byte(len(p)))
		out = append(out, p...)
	}
	if _, err := f.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestT14_EndpointsWithClientCAsGiveNoTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := newPKI(t, "ours")
	w.online("https://mutual.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"), mutual(ca))
	w.online("https://app.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"))
	for host, want := range map[string]bool{"mutual.example.com": false, "app.example.com": true} {
		cfg := &tls.Config{ServerName: host, Certificates: []tls.Certificate{ca.client()}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		for i := range 2 {
			c, err := w.tls(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			wantRead(t, c, "HTTP/1.1 204")
			if got := c.ConnectionState().DidResume; got != (want && i == 1) {
				t.Errorf("%s, connection %d: resumed %t", host, i, got)
			}
			_ = c.Close()
		}
	}
}

func TestEndpoints19_T11_HostOfAnotherEndpointOnAMutualTLSConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := newPKI(t, "ours")
	w.online("https://mutual.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"), mutual(ca))
	w.online("https://app.example.com", refused(t))
	get := func(sni, host string) string {
		c, err := w.tls(&tls.Config{ServerName: sni, Certificates: []tls.Certificate{ca.client()}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		status := make([]byte, len("HTTP/1.1 204"))
		_, _ = io.ReadFull(c, status)
		return string(status)
	}
	for _, tt := range []struct{ sni, host, want string }{
		{"mutual.example.com", "mutual.example.com", "HTTP/1.1 204"},
		{"mutual.example.com", "app.example.com", "HTTP/1.1 421"},
		{"app.example.com", "mutual.example.com", "HTTP/1.1 421"},
	} {
		if got := get(tt.sni, tt.host); got != tt.want {
			t.Errorf("SNI %s, Host %s: got %q, want %q", tt.sni, tt.host, got, tt.want)
		}
	}
}

func TestEndpoints09_WildcardAndExactNameBySNI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := "a.b.c.example.com"
	wild, exact := newPassthrough(t), newPassthrough(t)
	w.online("tls://*.example.com", wild.up)
	wild.want(t, w, name)
	e := w.online("tls://"+name, exact.up)
	exact.want(t, w, name)
	w.offline(e)
	wild.want(t, w, name)
	// Scenario 10: the wildcard does not serve its base.
	_, err := w.tls(&tls.Config{ServerName: "example.com", MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Errorf("the base domain itself: %v, want the edge's own certificate", err)
	}
}

// passthrough is a tls upstream that can be told from others.
type passthrough struct {
	up    route.Upstream
	roots *x509.CertPool
}

func newPassthrough(t testing.TB) passthrough {
	t.Helper()
	certs, roots := newTestCerts(t, "a.b.c.example.com")
	return passthrough{tlsEcho(t, certs["a.b.c.example.com"]), roots}
}

func (p passthrough) want(t testing.TB, w *world, name string) {
	t.Helper()
	c, err := w.tls(&tls.Config{ServerName: name, RootCAs: p.roots})
	if err != nil {
		t.Errorf("%s: %v, want this upstream", name, err)
		return
	}
	wantEcho(t, c, "x")
	_ = c.Close()
}

func TestForeignNamesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://reserved.example.org", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"))
	_, err := w.tls(&tls.Config{ServerName: "other.example.org"})
	wantAlert(t, err, alertUnrecognizedName)
	if c, err := w.tls(&tls.Config{ServerName: "reserved.example.org"}); err != nil {
		t.Errorf("an endpoint outside the base domains: %v", err)
	} else {
		_ = c.Close()
	}
	r := do(t, w.h2(), "GET", "https://nobody.example.com/", nil)
	wantStatus(t, r, http.StatusNotFound, "ERR_NGROK_3200")
}

func TestMalformedClientHello(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect(clientIP, tlsAddr)
	_, _ = c.Write([]byte{0x16, 3, 1, 0, 4, 1, 0, 0, 0})
	if got, _ := io.ReadAll(c); !bytes.Equal(got, []byte{0x15, 3, 3, 0, 2, 2, alertDecodeError}) {
		t.Errorf("got %x, want a decode_error alert", got)
	}
}

func TestPlainHTTPOnTheHTTPSPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect(clientIP, tlsAddr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), "https://") {
		t.Errorf("got %q, %v; want a hint", got, err)
	}
}

func TestAgentsAreHandedOverBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	agents := make(chan net.Conn, 1)
	w := newWorld(t, func(c *Config) { c.Agents = func(_ context.Context, c net.Conn) { agents <- c } })
	hello := clientHello(t, "connect.example.com")
	c := w.connect(clientIP, tlsAddr)
	_, _ = c.Write(hello)
	got := <-agents
	wantRead(t, got, string(hello))
	// It is not the edge's any more: draining leaves it open.
	w.srv.Drain(t.Context())
	_, _ = io.WriteString(c, "still open")
	wantRead(t, got, "still open")
	_ = got.Close()
}

func TestTLSVersionsAndSuites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", answer(t, "HTTP/1.1 204 No Content\r\n\r\n"))
	tests := []struct {
		name string
		cfg  tls.Config
		want bool
	}{
		{"1.3 hybrid", tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}, true},
		{"1.2 AEAD", tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"1.1", tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.2 CBC", tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"1.2 RSA key exchange", tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
		{"P-521 alone", tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, false},
		{"HTTP/2", tls.Config{NextProtos: []string{"h2"}}, true},
		{"unknown protocol", tls.Config{NextProtos: []string{"mqtt"}}, false},
	}
	for i := range tests {
		tt := &tests[i]
		tt.cfg.ServerName = "app.example.com"
		c, err := w.tls(&tt.cfg)
		if (err == nil) != tt.want {
			t.Errorf("%s: %v, want success %t", tt.name, err, tt.want)
		}
		_ = c.Close()
	}
}

func TestT09_HandshakeThatStallsIsClosed(t *testing.T) {
	t.Parallel()
	hello := clientHello(t, "app.example.com")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(clientIP, tlsAddr)
		_, _ = c.Write(hello)
		start := time.Now()
		_, _ = io.ReadAll(c)
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("silent after the ClientHello: closed after %v, want 10s", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(clientIP, tlsAddr)
		_, _ = c.Write(hello)
		start := time.Now()
		go func() {
			// A record of 80 bytes, one byte each second.
			for _, b := range append([]byte{0x16, 3, 3, 0, 80}, make([]byte, 80)...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		_, _ = io.ReadAll(c)
		if d := time.Since(start); d != 60*time.Second {
			t.Errorf("dripping after the ClientHello: closed after %v, want 60s", d)
		}
		_ = c.Close()
		time.Sleep(2 * time.Second)
	})
}
