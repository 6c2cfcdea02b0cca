package edge

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/certs"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// TLS alerts (RFC 8446 6) that are sent before a handshake could send its own.
const (
	alertDecodeError      = 50
	alertInternalError    = 80
	alertMissingExtension = 109
	alertUnrecognizedName = 112
)

// maxClientKey bounds the RSA keys of client certificates, in bits: checking a
// signature takes long with larger ones (T75).
const maxClientKey = 4096

// serverConfig returns the configuration for handshakes under the settings of
// an endpoint; nil stands for none. It is shared by all of them: the
// certificate is that which the connection was given.
func serverConfig(settings *route.TLSSettings, http bool) *tls.Config {
	c := certs.TLS()
	c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return h.Conn.(*edgeConn).cert, nil
	}
	if http {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if settings != nil && settings.ClientCAs != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = settings.ClientCAs
		c.VerifyPeerCertificate = checkClientKeys
		// A ticket would carry a client past a CA that was removed since (T14).
		c.SessionTicketsDisabled = true
	}
	return c
}

// checkClientKeys refuses certificates whose keys are expensive to use.
func checkClientKeys(_ [][]byte, chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		for _, cert := range chain {
			if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxClientKey {
				return fmt.Errorf("client certificate has a key of %d bits, more than %d", k.N.BitLen(), maxClientKey)
			}
		}
	}
	return nil
}

// refusal ends a connection before its handshake: the client gets the alert,
// or nothing if it is 0.
type refusal struct {
	alert byte
	cause error
}

func (r *refusal) Error() string { return r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

func refuse(alert byte, cause error) error { return &refusal{alert, cause} }

// serveTLS serves a connection that has to begin with a ClientHello.
func (s *Server) serveTLS(ctx context.Context, l *listener, ec *edgeConn) {
	if err := s.routeTLS(ctx, l, ec); err != nil {
		s.refuseTLS(ec, err)
	}
}

// refuseTLS ends a connection with TLS that nobody has taken.
func (s *Server) refuseTLS(ec *edgeConn, err error) {
	s.log.Debug("TLS connection refused", "client", ec.remote.String(), "host", ec.sni, "err", err)
	if r, ok := errors.AsType[*refusal](err); ok && r.alert != 0 {
		const fatal = 2
		_, _ = ec.Write([]byte{0x15, 3, 3, 0, 2, fatal, r.alert}) // it may be gone
	}
	_ = ec.Close()
}

// routeTLS finds out what the connection is for and serves it. If it returns
// an error the connection is still the caller's.
func (s *Server) routeTLS(ctx context.Context, l *listener, ec *edgeConn) error {
	hello, err := ec.ClientHello(time.Now().Add(s.live.Load().SniffTimeout))
	if err != nil {
		return s.badHello(ec, err)
	}
	name := hello.ServerName
	if name == "" {
		return refuse(alertMissingExtension, fault.New(fault.NoSNI))
	}
	ec.sni = name
	if cert := s.proof(name, hello.ALPN); cert != nil {
		return s.serveProof(ctx, ec, cert)
	}
	if take, handed := s.handed[name]; handed && l.scheme == endpoint.HTTPS {
		s.handOver(ctx, ec, take)
		return nil
	}
	if l.scheme == endpoint.HTTPS && s.cfg.Ingress != nil && s.cfg.Ingress(name) {
		s.handOver(ctx, ec, s.cfg.Agents)
		return nil
	}
	pool := s.poolFor(ctx, ec)
	if pool != nil {
		ec.keepHello(pool.Members())
	}
	switch {
	case pool == nil && (l.scheme != endpoint.HTTPS || !underAny(name, s.cfg.Domains)):
		return refuse(alertUnrecognizedName, fault.New(fault.EndpointOffline, name))
	case pool == nil:
		return s.serveHTTPS(ctx, ec, nil) // for the page that says so
	case pool.Scheme() == endpoint.HTTPS:
		return s.serveHTTPS(ctx, ec, pool.Next())
	default:
		return s.serveTLSEndpoint(ctx, ec, pool.Pick())
	}
}

// handOver gives a connection to whoever takes those of its server name; nil is
// nobody.
func (s *Server) handOver(ctx context.Context, ec *edgeConn, take func(context.Context, net.Conn)) {
	c := ec.release()
	if c == nil {
		return // closed meanwhile
	}
	if take == nil {
		_ = c.Close()
		return
	}
	// It counts as a client no more, neither for limits nor for draining.
	s.group.Go(func() { take(ctx, c) })
}

// badHello judges the error of a connection that did not begin with a
// ClientHello.
func (s *Server) badHello(ec *edgeConn, err error) error {
	switch {
	case errors.Is(err, sniff.ErrNotTLS):
		if p, _ := sniff.ProtocolOf(ec.Ahead()); p == sniff.HTTP1 {
			ec.linger(true)
			_, _ = io.WriteString(ec, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+
				"This port speaks HTTPS, and the request came as plain HTTP. Use an address that begins with https://.\n")
		}
		return err
	case errors.Is(err, sniff.ErrHello), errors.Is(err, sniff.ErrTooLarge):
		return refuse(alertDecodeError, fault.Wrap(err, fault.TLSHandshakeFailed, err))
	default:
		return err // it ended or was silent too long
	}
}

// handshake makes the TLS handshake under the settings of ep, which may be
// nil. Its connection is the caller's even if it fails.
func (s *Server) handshake(ctx context.Context, ec *edgeConn, ep *route.Endpoint, conn *policy.Conn) (*tls.Conn, error) {
	cfg := s.https
	if ep != nil && ep.TLS != nil {
		cfg = ep.TLS.Config(func(t *route.TLSSettings) *tls.Config {
			return serverConfig(t, ep.Key.URL.Scheme == endpoint.HTTPS)
		})
		ec.cert = ep.TLS.Certificate
		ec.tlsID = ep.TLS.ID
	}
	if conn != nil && conn.Terminate != nil {
		cfg = terminateConfig(conn.Terminate, ep.TLS, ep.Key.URL.Scheme == endpoint.HTTPS)
		ec.cert = cmp.Or(conn.Terminate.Certificate, ec.cert)
	}
	if ec.cert == nil {
		name := ec.sni
		if ep != nil && ep.Key.URL.Scheme == endpoint.TCP {
			name = ep.Key.URL.Host
		}
		cert, err := s.cfg.Certs.GetCertificate(name)
		if err != nil {
			return nil, refuse(alertUnrecognizedName, fault.Wrap(err, fault.TLSHandshakeFailed, err))
		}
		ec.cert = cert
	}
	leaf := ec.cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(ec.cert.Certificate[0]); err != nil {
			return nil, refuse(alertInternalError, fault.Wrap(err, fault.TLSHandshakeFailed, err))
		}
	}
	ec.clientConn.leaf = leaf
	tc := tls.Server(ec, cfg)
	if err := s.shake(ctx, ec, tc); err != nil {
		return nil, err
	}
	if name, ok := sniff.CanonicalName(tc.ConnectionState().ServerName); name != ec.sni || !ok && name != "" {
		return nil, fault.New(fault.TLSHandshakeFailed, "the server name of the handshake is another one than routed by")
	}
	if conn != nil {
		state := tc.ConnectionState()
		conn.TLS, conn.ServerCertificate = &state, &tls.Certificate{Leaf: leaf}
	}
	return tc, nil
}

// serveHTTPS makes the handshake and serves the requests of the connection.
// Without an endpoint the client gets to hear that there is none.
func (s *Server) serveHTTPS(ctx context.Context, ec *edgeConn, ep *route.Endpoint) error {
	ec.scheme = endpoint.HTTPS
	_, conn, err := s.passConnect(ctx, ec, ep)
	if err != nil {
		ec.reset()
		return err
	}
	tc, err := s.handshake(ctx, ec, ep, conn)
	if err != nil {
		return err
	}
	ec.tls, ec.http2 = tc, tc.ConnectionState().NegotiatedProtocol == "h2"
	s.serveHTTP(ctx, ec, tc)
	return nil
}

// serveTLSEndpoint joins the connection to a tls endpoint: as it is, or after
// the handshake if the endpoint wants TLS ended here.
func (s *Server) serveTLSEndpoint(ctx context.Context, ec *edgeConn, ep *route.Endpoint) error {
	ec.scheme = endpoint.TLS
	to, conn, err := s.passConnect(ctx, ec, ep)
	if err != nil {
		ec.reset()
		return err
	}
	defer untilGone(ep, ec)()
	if (ep.TLS == nil || !ep.TLS.Terminate) && (conn == nil || conn.Terminate == nil) {
		s.join(ctx, ec, nil, to)
		return nil
	}
	tc, err := s.handshake(ctx, ec, ep, conn)
	if err != nil {
		return err
	}
	s.join(ctx, ec, tc, to)
	return nil
}
