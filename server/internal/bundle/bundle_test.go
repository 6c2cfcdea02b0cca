package bundle_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/bundle"
)

// holder is somebody with a certificate.
type holder struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  string
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign makes a certificate for a key; without a signer it signs itself.
func sign(t *testing.T, name string, key crypto.Signer, by *holder, edit ...func(*x509.Certificate)) *holder {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	for _, e := range edit {
		e(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{cert, key, block("CERTIFICATE", der)}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("EC PRIVATE KEY", der)
}

// TestAPI40_Uploads is every way in which an upload can be wrong, and each gives its own code.
func TestAPI40_Uploads(t *testing.T) {
	t.Parallel()
	root := sign(t, "root", newKey(t), nil)
	middle := sign(t, "middle", newKey(t), root)
	leaf := sign(t, "h.example", newKey(t), middle)
	expired := sign(t, "h.example", newKey(t), nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	stranger := sign(t, "middle", newKey(t), root) // of the same name, with another key
	key := pkcs8(t, leaf.key)
	ec, _ := leaf.key.(*ecdsa.PrivateKey)
	oddCurve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AA\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
	for name, tt := range map[string]struct {
		cert, key string
		code      fault.Code
	}{
		"leaf alone":            {leaf.pem, key, ""},
		"with who signed it":    {leaf.pem + middle.pem, key, ""},
		"with the root":         {"# a comment\n" + leaf.pem + "\n" + middle.pem + root.pem, key, ""},
		"SEC 1":                 {leaf.pem, sec1(t, ec), ""},
		"SEC 1 with parameters": {leaf.pem, block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + sec1(t, ec), ""},
		"expired":               {expired.pem, pkcs8(t, expired.key), ""},
		"key with certificate":  {leaf.pem, leaf.pem + key, ""},
		"no certificate":        {"hello", key, fault.CertificateMissing},
		"another block":         {block("X509 CRL", []byte{1}), key, fault.CertificateMissing},
		"no key":                {leaf.pem, "hello", fault.KeyMissing},
		"parameters alone":      {leaf.pem, block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), fault.KeyMissing},
		"certificate unparsable": {
			block("CERTIFICATE", []byte{0x30, 1, 2}), key, fault.CertificateUnparsable,
		},
		"signer unparsable":   {leaf.pem + block("CERTIFICATE", []byte{0x30, 1, 2}), key, fault.CertificateUnparsable},
		"chain without end":   {strings.Repeat(leaf.pem, 17), key, fault.CertificateUnparsable},
		"key unparsable":      {leaf.pem, block("PRIVATE KEY", []byte{0x30, 1, 2}), fault.KeyUnparsable},
		"key of a curve":      {leaf.pem, pkcs8(t, oddCurve), fault.KeyUnparsable},
		"encrypted":           {leaf.pem, encrypted, fault.KeyEncrypted},
		"encrypted PKCS #8":   {leaf.pem, block("ENCRYPTED PRIVATE KEY", []byte{1}), fault.KeyEncrypted},
		"swapped":             {key, leaf.pem, fault.CertificateIsKey},
		"key beside it":       {leaf.pem + key, key, fault.CertificateIsKey},
		"certificate as key":  {leaf.pem, leaf.pem, fault.KeyIsCertificate},
		"key of another":      {leaf.pem, pkcs8(t, newKey(t)), fault.KeyMismatch},
		"leaf last":           {middle.pem + leaf.pem, key, fault.CertificateOrder},
		"signers swapped":     {leaf.pem + root.pem + middle.pem, key, fault.CertificateOrder},
		"signer of that name": {leaf.pem + stranger.pem, key, fault.CertificateOrder},
	} {
		pair, err := bundle.Parse(tt.cert, tt.key)
		switch {
		case tt.code == "" && err != nil, tt.code != "" && !fault.Has(err, tt.code):
			t.Errorf("%s: got %v, want %q", name, err, tt.code)
		case tt.code == "" && (pair.Leaf == nil || pair.PrivateKey == nil || len(pair.Certificate) != strings.Count(tt.cert, "BEGIN CERTIFICATE")):
			t.Errorf("%s: got %d certificates, leaf %v", name, len(pair.Certificate), pair.Leaf)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]crypto.Signer{"rsa": rsaKey, "ed25519": edKey, "ecdsa": p384} {
		h := sign(t, "h.example", key, nil, func(c *x509.Certificate) {
			c.SerialNumber = big.NewInt(0x1ab)
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		})
		pair, err := bundle.Parse(h.pem, pkcs8(t, key))
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got := bundle.KeyType(pair.Leaf); got != want {
			t.Errorf("key type = %q, want %q", got, want)
		}
		if got := bundle.Serial(pair.Leaf); got != "01ab" {
			t.Errorf("serial = %q, want 01ab", got)
		}
		if got := bundle.KeyUsages(pair.Leaf); !slices.Equal(got, []string{"digital-signature", "cert-sign"}) {
			t.Errorf("usages = %q", got)
		}
		if got := bundle.ExtendedKeyUsages(pair.Leaf); !slices.Equal(got, []string{"server-auth", "client-auth"}) {
			t.Errorf("extended usages = %q", got)
		}
	}
	if _, err := bundle.Parse(sign(t, "h.example", rsaKey, nil).pem, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))); err != nil {
		t.Errorf("PKCS #1: %v", err)
	}
}

// TestErrorsShowNoKey looks for the key in what people are told.
func TestErrorsShowNoKey(t *testing.T) {
	t.Parallel()
	leaf, key := sign(t, "h.example", newKey(t), nil), newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{pkcs8(t, key), block("PRIVATE KEY", der[:len(der)-4]), strings.TrimPrefix(pkcs8(t, key), "-----BEGIN")} {
		_, err := bundle.Parse(leaf.pem, text)
		if err == nil {
			t.Fatal("got no error")
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-") && strings.Contains(err.Error(), line) {
				t.Errorf("%v shows %q", err, line)
			}
		}
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	ca := sign(t, "authority", newKey(t), nil)
	leaf := sign(t, "h.example", newKey(t), ca, func(c *x509.Certificate) { c.IsCA = false })
	plain := sign(t, "old", newKey(t), nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
	for name, tt := range map[string]struct {
		text string
		code fault.Code
	}{
		"good":           {ca.pem, ""},
		"spaces":         {"\n" + ca.pem + "\n\n", ""},
		"empty":          {" \n", fault.AuthorityMissing},
		"no PEM":         {"hello", fault.AuthorityNoPEM},
		"text behind":    {ca.pem + "hello", fault.AuthorityNoPEM},
		"headers":        {"-----BEGIN CERTIFICATE-----\nA: b\n\nAAAA\n-----END CERTIFICATE-----\n", fault.AuthorityHeaders},
		"a key":          {pkcs8(t, ca.key), fault.AuthorityBlock},
		"two":            {ca.pem + ca.pem, fault.AuthorityTwice},
		"no authority":   {leaf.pem, fault.AuthorityNoCA},
		"of version 1":   {plain.pem, fault.AuthorityNoCA},
		"not parsable":   {block("CERTIFICATE", []byte{0x30, 1, 2}), fault.AuthorityNoPEM},
		"expired, valid": {sign(t, "old", newKey(t), nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }).pem, ""},
	} {
		if c, err := bundle.Authority(tt.text); tt.code == "" && (err != nil || c == nil) || tt.code != "" && !fault.Has(err, tt.code) {
			t.Errorf("%s: got %v, want %q", name, err, tt.code)
		}
	}
}
