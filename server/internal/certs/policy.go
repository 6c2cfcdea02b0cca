package certs

import (
	"crypto/tls"
	"slices"
	"sync"
)

// TLS returns a new configuration with what all our listeners accept: TLS 1.2
// and 1.3, and of TLS 1.2 the suites with forward secrecy and AEAD alone, which
// leaves out CBC and RSA key exchange. Those of TLS 1.3 are not a choice. The
// caller adds certificates and protocols, and uses it as it is: a copy would
// not know of changes made to itself.
func TLS() *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256},
	}
	// Who has the key of a TLS 1.2 ticket reads the session that it is from and
	// all that resume it, and crypto/tls keeps such keys for seven days. In TLS
	// 1.3 a resumed session agrees on keys anew.
	ticketless := sync.OnceValue(func() *tls.Config {
		old := c.Clone()
		old.GetConfigForClient = nil
		old.SessionTicketsDisabled = true
		return old
	})
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(h.SupportedVersions, tls.VersionTLS13) {
			return nil, nil // c itself, by the rule of crypto/tls
		}
		return ticketless(), nil
	}
	return c
}
