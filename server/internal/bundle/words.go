package bundle

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// KeyUsages returns what the key of a certificate may be used for, in the words of the API.
func KeyUsages(c *x509.Certificate) []string {
	list := []string{}
	for i, word := range [...]string{
		"digital-signature", "content-commitment", "key-encipherment", "data-encipherment", "key-agreement", "cert-sign", "crl-sign",
		"encipher-only", "decipher-only",
	} {
		if c.KeyUsage&(1<<i) != 0 {
			list = append(list, word)
		}
	}
	return list
}

// ExtendedKeyUsages returns what a certificate is for, in the words of the API; what has none there as its number.
func ExtendedKeyUsages(c *x509.Certificate) []string {
	list := []string{}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny:
			list = append(list, "any")
		case x509.ExtKeyUsageServerAuth:
			list = append(list, "server-auth")
		case x509.ExtKeyUsageClientAuth:
			list = append(list, "client-auth")
		case x509.ExtKeyUsageCodeSigning:
			list = append(list, "code-signing")
		case x509.ExtKeyUsageEmailProtection:
			list = append(list, "email-protection")
		case x509.ExtKeyUsageTimeStamping:
			list = append(list, "time-stamping")
		case x509.ExtKeyUsageOCSPSigning:
			list = append(list, "ocsp-signing")
		default:
			list = append(list, fmt.Sprint("other-", int(u)))
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		list = append(list, oid.String())
	}
	return list
}

// KeyType returns rsa, ecdsa or ed25519; "" for other keys.
func KeyType(c *x509.Certificate) string {
	switch c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "rsa"
	case *ecdsa.PublicKey:
		return "ecdsa"
	case ed25519.PublicKey:
		return "ed25519"
	}
	return ""
}

// Serial returns the serial number in hexadecimal, of an even length.
func Serial(c *x509.Certificate) string {
	b := c.SerialNumber.Bytes()
	if len(b) == 0 {
		return "00"
	}
	return fmt.Sprintf("%x", b)
}
