package edge

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/certs"
)

// Challenges are the proofs that certificate authorities ask for while an order
// is under way. What they do not know belongs to the endpoints.
type Challenges interface {
	// Answer returns the text that proves a host over HTTP, for a token.
	Answer(host, token string) (string, bool)
	// Certificate returns the certificate that proves a name in a handshake, nil
	// if none does.
	Certificate(name string) *tls.Certificate
}

const (
	// proofPath is where authorities look for tokens (RFC 8555 8.3).
	proofPath = "/.well-known/acme-challenge/"
	// proofProtocol is all that they offer in a handshake that proves a name (RFC
	// 8737 4).
	proofProtocol = "acme-tls/1"
)

// prove answers a request for a token of an order under way, and reports whether
// it was one (endpoints.md 21, 13).
func (x *exchange) prove() bool {
	if x.h.challenges == nil || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return false
	}
	token, ok := strings.CutPrefix(x.r.URL.Path, proofPath)
	if !ok {
		return false
	}
	text, ok := x.h.challenges.Answer(x.host, token)
	if !ok {
		return false
	}
	h := x.w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	x.endsConnection(h)
	x.wrote, x.status = true, http.StatusOK
	x.w.WriteHeader(x.status)
	if x.r.Method == http.MethodGet {
		n, _ := x.w.Write([]byte(text)) // who asked may be gone
		x.sent = int64(n)
	}
	return true
}

// proof returns the certificate that a handshake is to prove a name with, nil if
// it is an ordinary one.
func (s *Server) proof(name string, protocols []string) *tls.Certificate {
	if s.cfg.Challenges == nil || !slices.Equal(protocols, []string{proofProtocol}) {
		return nil
	}
	return s.cfg.Challenges.Certificate(name)
}

// serveProof makes a handshake that proves the name, after which the connection
// ends.
func (s *Server) serveProof(ctx context.Context, ec *edgeConn, cert *tls.Certificate) error {
	cfg := certs.TLS()
	cfg.Certificates = []tls.Certificate{*cert}
	cfg.NextProtos = []string{proofProtocol}
	cfg.SessionTicketsDisabled = true
	tc := tls.Server(ec, cfg)
	if err := s.shake(ctx, ec, tc); err != nil {
		return err
	}
	_ = tc.Close()
	return nil
}

// shake makes a handshake within its times.
func (s *Server) shake(ctx context.Context, ec *edgeConn, tc *tls.Conn) error {
	l := s.live.Load()
	ec.stall, ec.until = l.HandshakeStall, time.Now().Add(l.HandshakeTimeout)
	err := tc.HandshakeContext(ctx)
	ec.until = time.Time{}
	if err == nil {
		err = ec.SetReadDeadline(time.Time{})
	}
	if err != nil {
		// A client that thinks the handshake done may be sending already, and
		// a reset would take the alert from it.
		ec.linger(true)
		return fault.Wrap(err, fault.TLSHandshakeFailed, err)
	}
	return nil
}
