package diagnose

import "crypto/x509"

// TLSFault gives tests what a failed handshake is reported as.
func TLSFault(err error, peers []*x509.Certificate) error {
	c := &Config{Server: "localhost:9444", Fingerprint: true}
	return c.tlsFault(err, peers)
}
