package acme

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// LetsEncrypt is the directory of the authority that is asked by default.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// orderTime bounds one order at one authority, checks of its proofs included.
const orderTime = 5 * time.Minute

// Binding ties an account to one that an authority knows by other means (RFC
// 8555 7.3.4).
type Binding struct {
	// KeyID is what the authority calls the key, and Key the key itself in
	// unpadded base64url.
	KeyID, Key string
}

// Accounts keeps what a client knows of its accounts at authorities. Documents
// hold private keys.
type Accounts interface {
	// Load returns the document of that name, nil if there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save writes it.
	Save(ctx context.Context, name string, document []byte) error
}

// Config is what a Client needs.
type Config struct {
	// Email is where authorities write to. Giving it means that their terms are
	// accepted.
	Email string
	// Directories are the URLs of authorities, in the order in which they are
	// asked. Default: [LetsEncrypt] alone.
	Directories []string
	// Roots are the authorities whose servers are trusted. Default: those of the
	// system.
	Roots *x509.CertPool
	// Binding is for authorities that want one; nil: none.
	Binding *Binding
	// Challenges get the proofs. Required.
	Challenges *Challenges
	// DNS writes records; nil: names are proven otherwise, and wildcards cannot.
	DNS DNS
	// Resolver is asked whether records can be seen. Default: the system's.
	Resolver *net.Resolver
	// Accounts keeps the accounts. Required.
	Accounts Accounts
	// Version is that of the server, for authorities.
	Version string
	// Logger gets what goes wrong with one authority or one proof. Default: none.
	Logger *slog.Logger
}

// Client orders certificates. Make it with New.
type Client struct {
	cfg         Config
	authorities []*authority
}

// New returns a client. It asks nobody yet.
func New(cfg Config) *Client {
	if len(cfg.Directories) == 0 {
		cfg.Directories = []string{LetsEncrypt}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Resolver = cmp.Or(cfg.Resolver, net.DefaultResolver)
	c := &Client{cfg: cfg}
	web := newHTTPClient(cfg.Roots)
	for _, directory := range cfg.Directories {
		c.authorities = append(c.authorities, &authority{
			cfg:  &c.cfg,
			wire: &acme.Client{Directory: directory, HTTPClient: web, UserAgent: "culvertd/" + cfg.Version},
		})
	}
	return c
}

// Wildcards reports whether names with a wildcard can be proven.
func (c *Client) Wildcards() bool { return c.cfg.DNS != nil }

// Order is what a certificate is to be like.
type Order struct {
	// Names are those of the certificate, canonical; at least one.
	Names []string
	// RSA asks for a key of RSA with 4096 bits. Default: ECDSA with P-256.
	RSA bool
	// Record is where proofs by DNS are written for all names, to which their own
	// records lead as CNAMEs. Default: at the names themselves.
	Record string
	// Replaces is the certificate that this one renews; nil: none.
	Replaces *x509.Certificate
}

// Issued is a certificate with its key.
type Issued struct {
	// CertificatePEM is the chain, leaf first, and PrivateKeyPEM the key in PKCS #8.
	CertificatePEM, PrivateKeyPEM []byte
	// Leaf is the certificate.
	Leaf *x509.Certificate
	// Authority is the directory of who has issued it.
	Authority string
}

// Error says why there is no certificate.
type Error struct {
	// DNS says that records of the name are the reason.
	DNS bool
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Obtain orders a certificate from the first authority that gives it. It takes
// minutes where proofs need time. It fails with an [*Error] of the last
// authority, or when ctx ends.
func (c *Client) Obtain(ctx context.Context, o Order) (*Issued, error) {
	key, keyPEM, err := newKey(o.RSA)
	if err != nil {
		return nil, err
	}
	solvers := c.solvers(o)
	if len(solvers) == 0 {
		return nil, &Error{Err: errors.New("a wildcard is proven by DNS only, and the server has no way to write records")}
	}
	var failure *Error
	for _, a := range c.authorities {
		for _, way := range solvers {
			chain, err := a.order(ctx, o, key, way)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil {
				issued := &Issued{CertificatePEM: chain, PrivateKeyPEM: keyPEM, Authority: a.wire.Directory}
				if issued.Leaf, err = leafOf(chain, key, o.Names); err == nil {
					return issued, nil
				}
			}
			c.cfg.Logger.Warn("authority issued no certificate", "names", strings.Join(o.Names, " "), "authority", a.wire.Directory, "err", err)
			failure = judge(err)
			if !aboutProof(err) {
				break // another way to prove the names does not help
			}
		}
	}
	return nil, failure
}

// solvers returns the ways in which the names of an order can be proven, the
// preferred one first.
func (c *Client) solvers(o Order) (ways []map[string]acmez.Solver) {
	wildcard := slices.ContainsFunc(o.Names, func(name string) bool { return strings.HasPrefix(name, "*.") })
	if !wildcard {
		ways = append(ways, map[string]acmez.Solver{
			acme.ChallengeTypeHTTP01: overHTTP{c.cfg.Challenges}, acme.ChallengeTypeTLSALPN01: overTLS{c.cfg.Challenges},
		})
	}
	if c.cfg.DNS != nil {
		ways = append(ways, map[string]acmez.Solver{
			acme.ChallengeTypeDNS01: &overDNS{dns: c.cfg.DNS, record: o.Record, resolver: c.cfg.Resolver, log: c.cfg.Logger},
		})
	}
	return ways
}

// RenewalTime returns when the authority that has issued a certificate wants it
// to be renewed (RFC 9773), the zero time if none says so.
func (c *Client) RenewalTime(ctx context.Context, leaf *x509.Certificate) time.Time {
	for _, a := range c.authorities {
		if at := a.renewalTime(ctx, leaf); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// judge makes an error of an order one that says what to do about it.
func judge(err error) *Error {
	p, ok := errors.AsType[acme.Problem](err)
	return &Error{DNS: ok && (p.Type == acme.ProblemTypeDNS || p.Type == acme.ProblemTypeCAA), Err: err}
}

// aboutProof reports whether an error came from the proof of a name.
func aboutProof(err error) bool {
	p, ok := errors.AsType[acme.Problem](err)
	if !ok {
		return false
	}
	switch p.Type {
	case acme.ProblemTypeConnection, acme.ProblemTypeDNS, acme.ProblemTypeUnauthorized, acme.ProblemTypeTLS, acme.ProblemTypeIncorrectResponse:
		return true
	}
	return false
}

// leafOf returns the certificate at the front of a chain, if it is for a key and
// names.
func leafOf(chain []byte, key crypto.Signer, names []string) (*x509.Certificate, error) {
	leaf, err := parseLeaf(chain)
	if err != nil {
		return nil, fmt.Errorf("the authority sent no certificate: %w", err)
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the authority sent a certificate for another key")
	}
	for _, name := range names {
		if !slices.Contains(leaf.DNSNames, name) {
			return nil, fmt.Errorf("the authority sent a certificate without %s", name)
		}
	}
	return leaf, nil
}
