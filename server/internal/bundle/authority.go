package bundle

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// Authority returns the certificate of an authority from a text that holds nothing else. Errors are *fault.Error.
func Authority(text string) (*x509.Certificate, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.New(fault.AuthorityMissing)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, fault.New(fault.AuthorityNoPEM, "it has no block from BEGIN to END")
	case len(block.Headers) > 0:
		return nil, fault.New(fault.AuthorityHeaders)
	case block.Type != certificateBlock:
		return nil, fault.New(fault.AuthorityBlock, block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		if more, _ := pem.Decode(rest); more != nil {
			return nil, fault.New(fault.AuthorityTwice)
		}
		return nil, fault.New(fault.AuthorityNoPEM, "something else follows the certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fault.Wrap(err, fault.AuthorityNoPEM, "its certificate does not parse: "+reason(err))
	}
	if !c.IsCA || !c.BasicConstraintsValid {
		return nil, fault.New(fault.AuthorityNoCA)
	}
	return c, nil
}
