package acme

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// Protocol is what the ALPN extension of a handshake names that wants a proof
// (RFC 8737 4).
const Protocol = acmez.ACMETLS1Protocol

// Challenges are the proofs of the orders under way. The zero value has none.
type Challenges struct {
	mu     sync.RWMutex
	tokens map[tokenOf]string          // guarded by mu, as is the next
	certs  map[string]*tls.Certificate // by name
}

type tokenOf struct{ host, token string }

// Answer returns what to answer to a request of a host for the path
// /.well-known/acme-challenge/ and a token. It reports false for tokens that
// belong to no order for this very host.
func (c *Challenges) Answer(host, token string) (string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	answer, ok := c.tokens[tokenOf{host, token}]
	return answer, ok
}

// Certificate returns the certificate that proves a name in a handshake whose
// only protocol is [Protocol], nil if no order wants that.
func (c *Challenges) Certificate(name string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.certs[name]
}

// overHTTP gives proofs as tokens. It is an acmez.Solver.
type overHTTP struct{ *Challenges }

func (s overHTTP) Present(_ context.Context, proof acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = make(map[tokenOf]string)
	}
	s.tokens[tokenOf{proof.Identifier.Value, proof.Token}] = proof.KeyAuthorization
	return nil
}

func (s overHTTP) CleanUp(_ context.Context, proof acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, tokenOf{proof.Identifier.Value, proof.Token})
	return nil
}

// overTLS gives proofs as certificates. It is an acmez.Solver.
type overTLS struct{ *Challenges }

func (s overTLS) Present(_ context.Context, proof acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(proof)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.certs == nil {
		s.certs = make(map[string]*tls.Certificate)
	}
	s.certs[proof.Identifier.Value] = cert
	return nil
}

func (s overTLS) CleanUp(_ context.Context, proof acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.certs, proof.Identifier.Value)
	return nil
}
