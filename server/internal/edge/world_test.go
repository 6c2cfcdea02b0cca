package edge

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// The addresses of the edge in tests.
const (
	plainAddr = "127.0.0.1:80"
	tlsAddr   = "127.0.0.1:443"
)

// world is an edge on an in-memory network, with certificates for example.com
// and example.org and everything below.
type world struct {
	t      testing.TB
	net    *memnet.Network
	router *route.Router
	cfg    Config
	srv    *Server
	certs  testCerts
	roots  *x509.CertPool
}

// newWorld starts it. The options change its configuration before that.
func newWorld(t testing.TB, options ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, net: memnet.New(), router: route.NewRouter()}
	w.certs, w.roots = newTestCerts(t, "example.com", "example.org")
	w.cfg = Config{
		Router: w.router, Certs: w.certs, Domains: []string{"example.com"},
		HTTPAddr: plainAddr, HTTPSAddr: tlsAddr, RedirectHTTP: 307,
		StartedAt: time.Now().Add(-time.Hour),
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) {
			return w.net.Listen(network, addr)
		},
		Agents: func(_ context.Context, c net.Conn) { _ = c.Close() },
	}
	for _, o := range options {
		o(&w.cfg)
	}
	w.srv = New(w.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.srv.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	<-w.srv.Ready()
	return w
}

func protocols(h1, h2, h2c bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(h1)
	p.SetHTTP2(h2)
	p.SetUnencryptedHTTP2(h2c)
	return &p
}

// clientIP is where public connections come from.
const clientIP = "203.0.113.7"

// dial opens a public connection for HTTP/1.1: plain to the http port, or with
// TLS for app.example.com.
func (w *world) dial(secure bool) net.Conn {
	w.t.Helper()
	addr := plainAddr
	if secure {
		addr = tlsAddr
	}
	c, err := w.net.DialFrom(context.Background(), "tcp", clientIP, addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	if secure {
		c = tls.Client(c, &tls.Config{RootCAs: w.roots, ServerName: "app.example.com", NextProtos: []string{"http/1.1"}})
	}
	return c
}

// client is an HTTP client that reaches every host through the edge, by the
// scheme of the URL.
func (w *world) client(p *http.Protocols) *http.Client {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			to := tlsAddr
			if strings.HasSuffix(addr, ":80") {
				to = plainAddr
			}
			return w.net.DialFrom(ctx, "tcp", clientIP, to)
		},
		TLSClientConfig: &tls.Config{RootCAs: w.roots},
		Protocols:       p, DisableCompression: true, ExpectContinueTimeout: time.Minute,
	}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (w *world) h1() *http.Client { return w.client(protocols(true, false, false)) }
func (w *world) h2() *http.Client { return w.client(protocols(false, true, false)) }

// online puts an endpoint into the table.
func (w *world) online(url string, up route.Upstream, options ...func(*route.Endpoint)) *route.Endpoint {
	w.t.Helper()
	u, err := endpoint.ParseURL(url, endpoint.HTTPS)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &route.Endpoint{
		ID: "ep_" + u.Host, BoundAt: time.Now().Add(-time.Hour), Upstream: up, Pooled: true, FaultRecord: true,
		Key: endpoint.Key{Binding: endpoint.Public, URL: u.WithDefaults()},
	}
	for _, o := range options {
		o(e)
	}
	w.router.Update(func(t *route.Table) *route.Table { return t.With(e) })
	return e
}

func (w *world) offline(e *route.Endpoint) {
	w.router.Update(func(t *route.Table) *route.Table { return t.Without(e) })
}

// dialer is an upstream made of a function.
type dialer func(context.Context, wire.ProxyHeader) (net.Conn, error)

func (d dialer) Dial(ctx context.Context, h wire.ProxyHeader) (net.Conn, error) { return d(ctx, h) }

// service is an upstream served by net/http.
type service struct {
	dialer
	dials atomic.Int32
}

// serve starts a service that speaks HTTP/1 and, with prior knowledge, HTTP/2.
func (w *world) serve(h http.HandlerFunc) *service {
	w.t.Helper()
	l, err := w.net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: h, DisableGeneralOptionsHandler: true, Protocols: protocols(true, false, true), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	w.t.Cleanup(func() { _ = srv.Close(); wg.Wait() })
	s := &service{}
	s.dialer = func(ctx context.Context, _ wire.ProxyHeader) (net.Conn, error) {
		s.dials.Add(1)
		return w.net.Dial(ctx, "tcp", l.Addr().String())
	}
	return s
}

// raw is an upstream of raw connections: f gets the service's end.
func raw(t testing.TB, f func(c net.Conn, br *bufio.Reader)) dialer {
	return func(context.Context, wire.ProxyHeader) (net.Conn, error) {
		a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer b.Close()
			f(b, bufio.NewReader(b))
		})
		t.Cleanup(func() { _ = a.Close(); wg.Wait() })
		return a, nil
	}
}

// answer is an upstream that reads one request and sends text.
func answer(t testing.TB, text string) dialer {
	return raw(t, func(c net.Conn, br *bufio.Reader) {
		if req, err := http.ReadRequest(br); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, text)
		}
	})
}

// reply is a response with its body read.
type reply struct {
	*http.Response
	body string
	err  error // of reading the body
}

// do sends a request for a path on https://app.example.com, or for a URL.
func do(t testing.TB, c *http.Client, method, url string, body io.Reader, edit ...func(*http.Request)) reply {
	t.Helper()
	if strings.HasPrefix(url, "/") {
		url = "https://app.example.com" + url
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edit {
		e(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp, string(b), err}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// wantStatus checks status and error code of an answer.
func wantStatus(t testing.TB, r reply, status int, code string) {
	t.Helper()
	if r.StatusCode != status || r.Header.Get("Ngrok-Error-Code") != code {
		t.Errorf("got %d %q, want %d %q; body: %.300s", r.StatusCode, r.Header.Get("Ngrok-Error-Code"), status, code, r.body)
	}
}

// testCerts has one certificate for each domain, wildcard included.
type testCerts map[string]*tls.Certificate

func (c testCerts) GetCertificate(name string) (*tls.Certificate, error) {
	for domain, cert := range c {
		if endpoint.Under(name, domain) {
			return cert, nil
		}
	}
	return nil, errors.New("no certificate")
}

func newTestCerts(t testing.TB, domains ...string) (testCerts, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certs, pool := testCerts{}, x509.NewCertPool()
	for i, domain := range domains {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), DNSNames: []string{domain, "*." + domain},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0), // also in bubbles of synctest
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs[domain] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
		pool.AddCert(leaf)
	}
	return certs, pool
}
