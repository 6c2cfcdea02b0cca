package bundle

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// maxChain bounds the certificates of a bundle: clients have to read them at every handshake.
const maxChain = 16

// maxRSA bounds RSA keys, in bits: signing takes the server long with larger ones, and clients refuse them. smaller
// than minRSA they cannot sign at all.
const minRSA, maxRSA = 1024, 8192

// Kinds of blocks.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY" // ends the kinds of all private keys
)

// Parse returns what a server needs to serve a certificate, with its leaf parsed. The text of the certificates is the
// leaf and those that signed it, each before its signer's; the root may be missing. The key is not encrypted. Errors
// are *fault.Error and show nothing of the key.
func Parse(certificates, key string) (*tls.Certificate, error) {
	chain, err := readChain(certificates)
	if err != nil {
		return nil, err
	}
	signer, err := readKey(key)
	if err != nil {
		return nil, err
	}
	if err := belong(chain, signer); err != nil {
		return nil, err
	}
	pair := &tls.Certificate{PrivateKey: signer, Leaf: chain[0]}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

// Leaf returns the first certificate of a text that [Parse] has accepted.
func Leaf(certificates string) (*x509.Certificate, error) {
	for rest := []byte(certificates); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fault.New(fault.CertificateMissing)
		}
		if block.Type == certificateBlock {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// readChain returns the certificates of a text. It refuses one that holds a private key, because it is shown to
// whoever may read the certificate.
func readChain(text string) (chain []*x509.Certificate, err error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasSuffix(block.Type, keyBlock):
			return nil, fault.New(fault.CertificateIsKey)
		case block.Type != certificateBlock:
			continue
		case len(chain) == maxChain:
			return nil, fault.New(fault.CertificateUnparsable, fmt.Sprintf("it has more than %d certificates", maxChain))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(err, fault.CertificateUnparsable, reason(err))
		}
		chain = append(chain, c)
	}
	if chain == nil {
		return nil, fault.New(fault.CertificateMissing)
	}
	return chain, nil
}

// readKey returns the first private key of a text.
func readKey(text string) (crypto.Signer, error) {
	certificate := false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == certificateBlock:
			certificate = true
		case !strings.HasSuffix(block.Type, keyBlock): // such as EC PARAMETERS
		case block.Type == "ENCRYPTED "+keyBlock, strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, fault.New(fault.KeyEncrypted)
		default:
			return parseKey(block.Bytes)
		}
	}
	if certificate {
		return nil, fault.New(fault.KeyIsCertificate)
	}
	return nil, fault.New(fault.KeyMissing)
}

// parseKey reads a key in PKCS #8, PKCS #1 or SEC 1. What such a text is called says little about what it is.
func parseKey(der []byte) (crypto.Signer, error) {
	var key any
	err := errors.New("it is in none of the forms PKCS #8, PKCS #1 and SEC 1")
	for _, read := range [...]func() (any, error){
		func() (any, error) { return x509.ParsePKCS8PrivateKey(der) },
		func() (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func() (any, error) { return x509.ParseECPrivateKey(der) },
	} {
		if k, parseErr := read(); parseErr == nil {
			key, err = k, nil
			break
		}
	}
	if err != nil {
		return nil, fault.New(fault.KeyUnparsable, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, fault.New(fault.KeyUnparsable, fmt.Sprintf("it is an RSA key of %d bits, and %d to %d are allowed", bits, minRSA, maxRSA))
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if c := k.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return nil, fault.New(fault.KeyUnparsable, "its curve is none of P-256, P-384 and P-521")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fault.New(fault.KeyUnparsable, "it is no key of RSA, ECDSA or Ed25519")
}

// belong judges whether the key is the leaf's, and each certificate signed by the next.
func belong(chain []*x509.Certificate, key crypto.Signer) error {
	for i, c := range chain {
		if !sameKey(c.PublicKey, key.Public()) {
			continue
		}
		if i > 0 {
			return fault.New(fault.CertificateOrder, "the certificate of the key is not the first one")
		}
		for j := range chain[:len(chain)-1] {
			if !signed(chain[j], chain[j+1]) {
				return fault.New(fault.CertificateOrder, fmt.Sprintf("certificate %d is not signed by the next one", j+1))
			}
		}
		return nil
	}
	return fault.New(fault.KeyMismatch)
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// signed reports whether a certificate is signed by another one. Where the signature is of a kind that is not checked
// any more, the names decide.
func signed(c, by *x509.Certificate) bool {
	if !bytes.Equal(c.RawIssuer, by.RawSubject) {
		return false
	}
	err := by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	_, old := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || old || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// reason is what a parser says, without its own name.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "x509: ") }
