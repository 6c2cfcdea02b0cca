package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// connect opens a connection to addr that comes from another address.
func (w *world) connect(from, addr string) net.Conn {
	w.t.Helper()
	c, err := w.net.DialFrom(context.Background(), "tcp", from, addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// tls connects to the https port with the configuration and makes the
// handshake.
func (w *world) tls(cfg *tls.Config) (*tls.Conn, error) {
	w.t.Helper()
	if cfg.RootCAs == nil {
		cfg.RootCAs = w.roots
	}
	c := tls.Client(w.connect(clientIP, tlsAddr), cfg)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return c, c.HandshakeContext(ctx)
}

// dialled is an upstream that keeps what was opened on it.
type dialled chan opened

type opened struct {
	h wire.ProxyHeader
	*mux.Stream
	done chan struct{} // closed by the test when the stream may end
}

// agent is an upstream over a session whose streams the test serves itself.
func agent(t testing.TB) (route.Upstream, dialled) {
	t.Helper()
	streams := make(dialled, 16)
	up := session(t, func(st *mux.Stream, h wire.ProxyHeader) {
		o := opened{h: h, Stream: st, done: make(chan struct{})}
		streams <- o
		select {
		case <-o.done:
		case <-t.Context().Done():
		}
	})
	return up, streams
}

// echo is an upstream that sends back what it gets, behind a first line.
func echo(t testing.TB, first string) route.Upstream {
	return session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
		_, _ = io.WriteString(st, first)
		_, _ = io.Copy(st, st)
		_ = st.CloseWrite()
	})
}

// tlsEcho is an echo behind TLS with its own certificate, as an upstream of a
// tls endpoint has it.
func tlsEcho(t testing.TB, cert *tls.Certificate) route.Upstream {
	return session(t, func(st *mux.Stream, _ wire.ProxyHeader) {
		c := tls.Server(st, &tls.Config{Certificates: []tls.Certificate{*cert}})
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
}

// refused is an upstream whose use fails the test.
func refused(t testing.TB) route.Upstream {
	return dialer(func(context.Context, wire.ProxyHeader) (net.Conn, error) {
		t.Error("the upstream was dialled")
		return nil, errors.New("refused")
	})
}

// wantEcho checks that a connection sends back what it gets.
func wantEcho(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("write: %v", err)
	}
	wantRead(t, c, text)
}

// wantRead checks the next bytes of a connection.
func wantRead(t testing.TB, c io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v; want %q", got[:n], err, text)
	}
}

// wantClosed checks that a connection ends without further bytes.
func wantClosed(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want the connection closed", n, err)
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
}

// wantAlert checks that a handshake was refused with an alert.
func wantAlert(t testing.TB, err error, alert uint8) {
	t.Helper()
	if got, ok := errors.AsType[tls.AlertError](err); ok && got == tls.AlertError(alert) {
		return
	}
	if err == nil || err.Error() != "remote error: "+tls.AlertError(alert).Error() {
		t.Errorf("handshake ends with %v, want alert %d (%v)", err, alert, tls.AlertError(alert))
	}
}

// pki is a CA for client certificates.
type pki struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newPKI(t testing.TB, name string) *pki {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &pki{t: t, key: key}
	p.cert = p.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, &key.PublicKey)
	return p
}

// sign signs a template with the CA's key, as its own if parent is nil.
func (p *pki) sign(tmpl, parent *x509.Certificate, key any) *x509.Certificate {
	p.t.Helper()
	tmpl.SerialNumber = big.NewInt(1)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = time.Unix(0, 0), time.Unix(1<<34, 0)
	}
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key, p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return cert
}

// client returns a client certificate, changed by edit.
func (p *pki) client(edit ...func(*x509.Certificate)) tls.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, e := range edit {
		e(tmpl)
	}
	cert := p.sign(tmpl, p.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// pool is a pool of the CA alone.
func (p *pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	return pool
}

func newInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
