package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// maxMaterial bounds a file with certificates or a key.
const maxMaterial = 1 << 20

// Paths of the keys that name certificates.
const (
	keyCertificate = "agent_tls_termination.server_certificate"
	keyKey         = "agent_tls_termination.server_private_key"
	keyClientCAs   = "agent_tls_termination.mutual_tls_certificate_authorities"
)

// resolve returns a path as it is meant: relative to dir, unless that is empty.
func resolve(dir, path string) string {
	if dir == "" || path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// material returns PEM text that is given as such or as a path.
func material(dir, text string) ([]byte, error) {
	if strings.Contains(text, "-----BEGIN") {
		return []byte(text), nil
	}
	return readBounded(resolve(dir, text), maxMaterial)
}

// readBounded reads a whole file that must not be larger than limit.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, nil
}

// shortName names PEM material in a message without showing it.
func shortName(text string) string {
	if strings.Contains(text, "-----BEGIN") {
		return "(inline)"
	}
	return text
}

// LoadCAs reads certificates of authorities from a path relative to dir, or
// from PEM text. Errors are faults with the code [fault.CAFileInvalid].
func LoadCAs(dir, text string) (pem []byte, pool *x509.CertPool, err error) {
	pem, err = material(dir, text)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.CAFileInvalid, shortName(text), err)
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fault.New(fault.CAFileInvalid, shortName(text), "no PEM certificate in it")
	}
	return pem, pool, nil
}

// APICAs returns by which authorities the API is recognised: those of api_cas or, if it is not set, of the host and
// of connect_cas, which may be those of the same server. Nil means those of the host alone. Errors are faults with
// the code [fault.CAFileInvalid].
func (c *Config) APICAs() (*x509.CertPool, error) {
	switch text := c.Agent.APICAs; text {
	case "":
	case "host":
		return nil, nil //nolint:nilnil // as crypto/tls means it
	default:
		_, pool, err := LoadCAs(c.dirOf("api_cas"), text)
		return pool, err
	}
	switch c.Agent.ConnectCAs {
	case "", "host", "trusted":
		return nil, nil //nolint:nilnil // as crypto/tls means it
	}
	pem, pool, err := LoadCAs(c.dirOf("connect_cas"), c.Agent.ConnectCAs)
	if err != nil {
		return nil, err
	}
	if host, hostErr := x509.SystemCertPool(); hostErr == nil {
		host.AppendCertsFromPEM(pem)
		pool = host
	}
	return pool, nil
}

// pair loads a certificate with its key, of which both or neither are given.
func (c *compiler) pair(certKey, keyKey, cert, key string) (certPEM, keyPEM []byte, pair *tls.Certificate) {
	if cert == "" && key == "" {
		return nil, nil, nil
	}
	bad := func(err error) ([]byte, []byte, *tls.Certificate) {
		c.report(certKey, fault.Wrap(err, fault.CertificatePair, shortName(cert), shortName(key), err))
		return nil, nil, nil
	}
	switch {
	case key == "":
		return bad(errors.New("the key is missing (" + c.d.label(keyKey) + ")"))
	case cert == "":
		return bad(errors.New("the certificate is missing (" + c.d.label(certKey) + ")"))
	}
	certPEM, err := material(c.d.Dir, cert)
	if err != nil {
		return bad(err)
	}
	if keyPEM, err = material(c.d.Dir, key); err != nil {
		return bad(err)
	}
	loaded, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return bad(errors.New(strings.TrimPrefix(err.Error(), "tls: ")))
	}
	return certPEM, keyPEM, &loaded
}

// upstreamTLS decides whether and how the agent speaks TLS to the upstream. By
// default the upstream is not verified: the agent's own network is taken to be
// private (reference: endpoints, 6.5).
func (c *compiler) upstreamTLS(s *Spec) {
	d := c.d
	_, _, client := c.pair("upstream.tls_client_certificate", "upstream.tls_client_key", d.TLSClientCert, d.TLSClientKey)
	var roots *x509.CertPool
	if d.TLSVerifyCAs != "" {
		var err error
		if _, roots, err = LoadCAs(d.Dir, d.TLSVerifyCAs); err != nil {
			c.report("upstream.tls_verify_cas", err)
		}
	}
	if !s.Upstream.Secure() {
		// Verification that cannot happen must not be believed in.
		switch {
		case d.TLSVerifyCAs != "":
			c.invalid("upstream.tls_verify_cas", shortName(d.TLSVerifyCAs), "the upstream "+s.Upstream.String()+" does not speak TLS; use an https:// or tls:// upstream")
		case d.TLSVerify:
			c.invalid("upstream.tls_verify", "true", "the upstream "+s.Upstream.String()+" does not speak TLS; use an https:// or tls:// upstream")
		}
		return
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: s.Upstream.Host(), RootCAs: roots,
		InsecureSkipVerify: !d.TLSVerify && roots == nil, //nolint:gosec // documented default; the flags ask for verification
	}
	if d.TLSServerName != "" {
		cfg.ServerName = d.TLSServerName
	}
	if s.HTTP2 {
		cfg.NextProtos = []string{"h2"}
	}
	if client != nil {
		cfg.Certificates = []tls.Certificate{*client}
	}
	s.UpstreamTLS = cfg
}

// termination decides who ends the TLS of the endpoint's clients.
func (c *compiler) termination(s *Spec) {
	d := c.d
	certPEM, keyPEM, pair := c.pair(keyCertificate, keyKey, d.Certificate, d.Key)
	caPEM, pool := c.clientCAs()
	where := d.TerminateAt
	if where == "" {
		where = "upstream"
		if d.Certificate != "" || d.Key != "" {
			where = "agent" // the safer reading: end to end (reference: agent, 17.3)
		}
	}
	switch {
	case s.URL.Scheme.IsHTTP():
		c.httpTermination(s, caPEM)
		return
	case s.URL.Scheme == endpoint.TCP:
		if d.TerminateAt != "" || d.Certificate != "" || len(d.ClientCAs) > 0 {
			c.invalid(keyCertificate, shortName(d.Certificate), "a tcp endpoint has no TLS of its own; use a tls:// URL")
		}
		return
	}
	switch where {
	case "agent":
		c.agentTermination(s, pair, pool)
	case "edge":
		s.EdgeTLS = &EdgeTLS{Certificate: certPEM, Key: keyPEM, ClientCAs: caPEM}
	case "upstream":
		if d.Certificate != "" {
			c.report("terminate_at", fault.New(fault.OptionConflict, c.d.label("terminate_at")+" upstream", c.d.label(keyCertificate)))
		}
		if len(d.ClientCAs) > 0 {
			c.invalid(keyClientCAs, shortName(d.ClientCAs[0]), "clients are verified where TLS ends: give a certificate and key, or end TLS at the edge")
		}
		s.UpstreamTLS = nil // the client's own TLS goes through; no second layer (endpoints, 6.5)
	default:
		c.invalid("terminate_at", d.TerminateAt, "it must be edge, agent or upstream")
	}
}

func (c *compiler) clientCAs() (all []byte, pool *x509.CertPool) {
	for _, text := range c.d.ClientCAs {
		pem, _, err := LoadCAs(c.d.Dir, text)
		if err != nil {
			c.report(keyClientCAs, err)
			return nil, nil
		}
		all = append(append(all, bytes.TrimSpace(pem)...), '\n')
	}
	if len(all) > 0 {
		pool = x509.NewCertPool()
		pool.AppendCertsFromPEM(all)
	}
	return all, pool
}

// httpTermination allows an https endpoint to demand client certificates; its
// TLS ends at the server in any case.
func (c *compiler) httpTermination(s *Spec, caPEM []byte) {
	d := c.d
	if d.TerminateAt != "" || d.Certificate != "" || d.Key != "" {
		c.invalid(keyCertificate, shortName(d.Certificate), "the TLS of an https endpoint ends at the server; use a tls:// URL to end it at the agent")
		return
	}
	if len(caPEM) == 0 {
		return
	}
	if s.URL.Scheme != endpoint.HTTPS || slices.ContainsFunc(d.Schemes, func(s string) bool { return strings.EqualFold(s, "http") }) {
		c.invalid(keyClientCAs, shortName(d.ClientCAs[0]), "an http endpoint has no TLS; use an https URL")
		return
	}
	s.EdgeTLS = &EdgeTLS{ClientCAs: caPEM}
}

func (c *compiler) agentTermination(s *Spec, pair *tls.Certificate, clients *x509.CertPool) {
	if pair == nil {
		if c.d.Certificate == "" && c.d.Key == "" {
			c.report(keyCertificate, fault.New(fault.CertificatePair, "", "", "ending TLS at the agent needs both"))
		}
		return
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{*pair},
		MinVersion:   c.tlsVersion("agent_tls_termination.min_version", c.d.TLSMin, tls.VersionTLS12),
		MaxVersion:   c.tlsVersion("agent_tls_termination.max_version", c.d.TLSMax, tls.VersionTLS13),
	}
	if cfg.MinVersion > cfg.MaxVersion {
		c.invalid("agent_tls_termination.min_version", c.d.TLSMin, "it is above max_version")
	}
	if clients != nil {
		cfg.ClientCAs, cfg.ClientAuth = clients, tls.RequireAndVerifyClientCert
	}
	s.AgentTLS = cfg
}

func (c *compiler) tlsVersion(key, text string, def uint16) uint16 {
	v, ok := tlsVersion(text, def)
	if !ok {
		c.invalid(key, text, `it must be "1.2" or "1.3"`)
	}
	return v
}

func tlsVersion(text string, def uint16) (uint16, bool) {
	switch text {
	case "":
		return def, true
	case "1.2":
		return tls.VersionTLS12, true
	case "1.3":
		return tls.VersionTLS13, true
	}
	return def, false
}
