package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Custom has the certificates of single names. Its answers may change at any
// time, and it does not wait.
type Custom interface {
	// Certificate returns the certificate of a canonical name, nil if it has
	// none for it.
	Certificate(name string) *tls.Certificate
}

// Config says which names need certificates and where they come from.
type Config struct {
	// Dir is the directory of the development CA. It has to exist.
	Dir string
	// Domains are the base domains, canonical. At least one.
	Domains []string
	// AgentHost is the host, a name or an IP address, that agents dial;
	// "" if it is localhost or connect.<domain>.
	AgentHost string
	// CertFile and KeyFile name PEM files to use instead of a CA of our own;
	// both or neither.
	CertFile, KeyFile string
	// Custom is asked first for the certificate of a public name. Default:
	// there are none.
	Custom Custom
	// Tickets seals what agents need to resume their TLS sessions. Default: the
	// server forgets them when it ends.
	Tickets Sealer
	// Logger gets news of the CA and of changed files. Default: none.
	Logger *slog.Logger
}

// Store has the certificates of a server. Make it with Open.
type Store struct {
	cfg    Config
	log    *slog.Logger
	files  *files // instead of all below; nil without files
	ca     *authority
	key    *ecdsa.PrivateKey // of all leaves
	leaves *cache
}

// Open reads the certificate files, or the CA in the directory, which it makes
// if there is none. A CA whose constraints leave out a name that is needed is
// replaced by a new one, with a warning in the log: agents then need the new
// fingerprint. It fails with fault.ServerCertificate, fault.CAUnusable,
// fault.SecretFileMode or fault.DataDirUnusable.
func Open(cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, log: cfg.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		f, err := openFiles(cfg.CertFile, cfg.KeyFile, s.log)
		if err != nil {
			return nil, err
		}
		s.files = f
		return s, nil
	}
	if len(cfg.Domains) == 0 {
		return nil, fmt.Errorf("open certificates: no base domain")
	}
	names, ips := cfg.agentNames()
	ca, err := openAuthority(cfg.Dir, scope{names: append(names, cfg.Domains...), ips: ips}, s.log)
	if err != nil {
		return nil, err
	}
	s.ca = ca
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	s.leaves = newCache(maxLeaves, s.issue)
	return s, nil
}

// Reload reads the certificate files again, which may be others than those of
// before. A store without files stays as it is. On failure, which is a
// fault.ServerCertificate, nothing changes.
func (s *Store) Reload(certFile, keyFile string) error {
	if s.files == nil {
		return nil
	}
	return s.files.read(certFile, keyFile)
}

// agentNames returns what an agent may dial: names and addresses.
func (c Config) agentNames() (names []string, ips []netip.Addr) {
	for _, d := range c.Domains {
		names = append(names, "connect."+d)
	}
	names = append(names, "localhost")
	ips = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if a, err := netip.ParseAddr(c.AgentHost); err == nil {
		if a = a.Unmap().WithZone(""); !a.IsLoopback() || a != ips[0] && a != ips[1] {
			ips = append(ips, a)
		}
	} else if h := c.AgentHost; h != "" && h != "localhost" {
		names = append(names, h)
	}
	return names, ips
}

// GetCertificate returns the certificate for a canonical server name: a custom
// one, else that of the certificate files, else a leaf of the CA. A name that
// lies under no base domain gets that of the first one, which is not for it
// (api.md 4.2: traffic works before there is a certificate).
func (s *Store) GetCertificate(serverName string) (*tls.Certificate, error) {
	if c := s.custom(serverName); c != nil {
		return c, nil
	}
	if s.files != nil {
		return s.files.certificate(), nil
	}
	names := s.leafNames(serverName)
	if names == nil {
		names = s.leafNames(s.cfg.Domains[0])
	}
	return s.leaves.get(names[0], leafRequest{names: names})
}

func (s *Store) custom(name string) *tls.Certificate {
	if s.cfg.Custom == nil {
		return nil
	}
	return s.cfg.Custom.Certificate(name)
}

// leafNames returns the names of the certificate that serves a name, nil if
// there is none. One certificate serves a base domain and what is right under
// it, another each deeper level.
func (s *Store) leafNames(name string) []string {
	base := ""
	for _, d := range s.cfg.Domains {
		if len(d) > len(base) && endpoint.Under(name, d) {
			base = d
		}
	}
	if base == "" {
		return nil
	}
	_, parent, _ := strings.Cut(name, ".")
	switch {
	case !strings.Contains(base, ".") && (name == base || parent == base):
		// Clients refuse a wildcard with nothing but one label under it.
		return []string{name}
	case name == base, parent == base:
		return []string{base, "*." + base}
	default:
		return []string{"*." + parent}
	}
}

// AgentTLS returns the configuration for connections of agents to the listener
// that is theirs. Its certificate is the same for all the server's own names and
// for none, and is sent together with the CA's (decision 32). Under other names
// it is a custom one where there is any.
func (s *Store) AgentTLS() *tls.Config { return s.agentTLS(s.ingressCertificate) }

// SharedAgentTLS returns that for agents that come by a listener for clients. A
// name with a custom certificate has that one, so that agents need not be told
// of a CA; all else is as with AgentTLS.
func (s *Store) SharedAgentTLS() *tls.Config { return s.agentTLS(s.custom) }

// agentTLS returns the configuration for agents, who get what find returns for
// the name that they ask for, or else the server's own certificate.
func (s *Store) agentTLS(find func(name string) *tls.Certificate) *tls.Config {
	c := TLS()
	c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if cert := find(strings.ToLower(h.ServerName)); cert != nil {
			return cert, nil
		}
		return s.agentCertificate()
	}
	if s.cfg.Tickets != nil {
		(&tickets{sealer: s.cfg.Tickets, identity: s.identity, now: time.Now}).apply(c)
	}
	// Sessions write records as large as they can from the start.
	c.DynamicRecordSizingDisabled = true
	return c
}

// APITLS returns the configuration for connections to the API: names with a
// custom certificate, and those under the base domains, get their certificate,
// all others the agents' one.
func (s *Store) APITLS() *tls.Config {
	c := TLS()
	c.NextProtos = []string{"h2", "http/1.1"}
	c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := strings.ToLower(h.ServerName)
		if c := s.custom(name); c != nil {
			return c, nil
		}
		if s.files == nil && s.leafNames(name) != nil {
			return s.GetCertificate(name)
		}
		return s.agentCertificate()
	}
	return c
}

// ingressCertificate returns the custom certificate of a name that is not the server's own, nil if there is none. At the
// server's own names agents expect the CA that they have been told of.
func (s *Store) ingressCertificate(name string) *tls.Certificate {
	under := func(domain string) bool { return endpoint.Under(name, domain) }
	if name == "" || name == s.cfg.AgentHost || slices.ContainsFunc(s.cfg.Domains, under) {
		return nil
	}
	return s.custom(name)
}

func (s *Store) agentCertificate() (*tls.Certificate, error) {
	if s.files != nil {
		return s.files.certificate(), nil
	}
	names, ips := s.cfg.agentNames()
	return s.leaves.get("", leafRequest{names: names, ips: ips, withCA: true})
}

// Fingerprint returns "sha256:" and the hash of the CA's certificate in
// hexadecimal, to be given to agents. It is "" with certificate files.
func (s *Store) Fingerprint() string {
	if s.ca == nil {
		return ""
	}
	sum := sha256.Sum256(s.ca.cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// issue signs a leaf for the cache.
func (s *Store) issue(r leafRequest, now time.Time) (*tls.Certificate, error) {
	cert, err := s.ca.sign(r, &s.key.PublicKey, now)
	if err != nil {
		return nil, fault.Wrap(err, fault.CAUnusable, s.cfg.Dir, err)
	}
	c := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: s.key, Leaf: cert}
	if r.withCA {
		c.Certificate = append(c.Certificate, s.ca.cert.Raw)
	}
	return c, nil
}
