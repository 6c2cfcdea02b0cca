package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Files of the CA. The secret one has certificate and key, so that they cannot
// come apart; the public one is a copy of the certificate for clients.
const (
	secretFile = "ca-key.pem"
	publicFile = "ca.pem"
)

// maxSecret bounds the secret file, in bytes. Ours have less than 1 KB.
const maxSecret = 64 << 10

// Lifetimes. A CA that would not outlive a leaf by far is replaced, a leaf
// with a third of its life left is signed anew.
const (
	caLife      = 10 * 365 * 24 * time.Hour
	caLeft      = 180 * 24 * time.Hour
	leafLife    = 90 * 24 * time.Hour
	leafRenewal = leafLife * 2 / 3
	// clockSkew is how far behind a client's clock may be.
	clockSkew = time.Hour
)

// authority is the development CA.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// scope is what a CA has to be good for: names with all that is under them,
// and addresses.
type scope struct {
	names []string
	ips   []netip.Addr
}

// openAuthority reads the CA in dir, or makes one for the scope.
func openAuthority(dir string, sc scope, log *slog.Logger) (*authority, error) {
	path := filepath.Join(dir, secretFile)
	text, err := datafile.ReadSecret(path, maxSecret)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, publicFile)); err == nil {
			return nil, fault.New(fault.CAUnusable, dir, publicFile+" is there, but "+secretFile+" is missing")
		}
		ca, err := makeAuthority(dir, sc)
		if err != nil {
			return nil, err
		}
		log.Info("made a development CA", "file", filepath.Join(dir, publicFile))
		return ca, nil
	case fault.Has(err, fault.SecretFileMode):
		return nil, err
	case err != nil:
		return nil, fault.Wrap(err, fault.CAUnusable, dir, err)
	}
	ca, err := parseAuthority(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.CAUnusable, dir, fmt.Errorf("%s: %w", secretFile, err))
	}
	if reason := ca.unfit(sc, time.Now()); reason != "" {
		if ca, err = makeAuthority(dir, sc); err != nil {
			return nil, err
		}
		log.Warn("replaced the development CA: agents and browsers that trusted the old one need the new ca.pem or fingerprint",
			"reason", reason, "file", filepath.Join(dir, publicFile))
		return ca, nil
	}
	return ca, ca.publish(dir)
}

func parseAuthority(text []byte) (*authority, error) {
	ca := &authority{}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			ca.cert = cert
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			signer, ok := key.(crypto.Signer)
			if !ok {
				return nil, errors.New("the key cannot sign")
			}
			ca.key = signer
		}
	}
	if ca.cert == nil || ca.key == nil {
		return nil, errors.New("certificate or key is missing")
	}
	pub, ok := ca.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(ca.cert.PublicKey) {
		return nil, errors.New("certificate and key do not belong together")
	}
	if !ca.cert.IsCA {
		return nil, errors.New("the certificate is not that of a CA")
	}
	return ca, nil
}

// unfit says why the CA cannot serve the scope, "" if it can.
func (ca *authority) unfit(sc scope, now time.Time) string {
	if ca.cert.NotAfter.Sub(now) < caLeft {
		return "it expires on " + ca.cert.NotAfter.Format(time.DateOnly)
	}
	for _, n := range sc.names {
		permits := func(c string) bool { return endpoint.Under(n, c) }
		if !slices.ContainsFunc(ca.cert.PermittedDNSDomains, permits) {
			return "it may not sign for " + n
		}
	}
	for _, ip := range sc.ips {
		permits := func(r *net.IPNet) bool { return r.Contains(ip.AsSlice()) }
		if !slices.ContainsFunc(ca.cert.PermittedIPRanges, permits) {
			return "it may not sign for " + ip.String()
		}
	}
	return ""
}

// makeAuthority makes a CA for the scope and writes its files.
func makeAuthority(dir string, sc scope) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	mark := make([]byte, 4)
	_, _ = rand.Read(mark) // never fails: crypto/rand ends the program instead
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		// A name of its own: trust stores find a CA by it.
		Subject:               pkix.Name{CommonName: "Culvert development CA " + hex.EncodeToString(mark)},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         widest(sc.names),
	}
	for _, ip := range sc.ips {
		tmpl.PermittedIPRanges = append(tmpl.PermittedIPRanges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fault.Wrap(err, fault.CAUnusable, dir, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Wrap(err, fault.CAUnusable, dir, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(err, fault.CAUnusable, dir, err)
	}
	ca := &authority{cert: cert, key: key}
	text := append(ca.pem(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := datafile.Write(filepath.Join(dir, secretFile), text, 0o600); err != nil {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	return ca, ca.publish(dir)
}

// widest drops names that lie under another one, and repetitions.
func widest(names []string) []string {
	var out []string
	for _, n := range names {
		if slices.ContainsFunc(names, func(m string) bool { return m != n && endpoint.Under(n, m) }) || slices.Contains(out, n) {
			continue
		}
		out = append(out, n)
	}
	return out
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] &= 0x7f // positive
	return new(big.Int).SetBytes(b)
}

func (ca *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// publish writes the public file if it does not have the certificate already.
func (ca *authority) publish(dir string) error {
	path := filepath.Join(dir, publicFile)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(ca.pem()) {
		return nil
	}
	if err := datafile.Write(path, ca.pem(), 0o644); err != nil {
		return fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	return nil
}

// leafRequest is what a leaf is to be for.
type leafRequest struct {
	names  []string
	ips    []netip.Addr
	withCA bool // the CA's certificate is sent with it
}

// sign issues a leaf.
func (ca *authority) sign(r leafRequest, key *ecdsa.PublicKey, now time.Time) (*x509.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Culvert development certificate"},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     r.names,

		BasicConstraintsValid: true,
	}
	for _, ip := range r.ips {
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key, ca.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
