package certs

import "encoding/pem"

// CAPEM returns the CA's certificate in PEM, nil with certificate files.
func (s *Store) CAPEM() []byte {
	if s.ca == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.cert.Raw})
}
