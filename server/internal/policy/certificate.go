package policy

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/url"
	"strings"
)

// tlsFact looks a name below conn.tls up.
func (c *Conn) tlsFact(name string) (any, bool) {
	switch name {
	case "sni":
		return c.SNI, true
	case "ja4_fingerprint":
		if c.JA4 == nil {
			return nil, false
		}
		return c.JA4(), true
	}
	if c.TLS == nil {
		return nil, false
	}
	switch name {
	case "version":
		return strings.TrimPrefix(tls.VersionName(c.TLS.Version), "TLS "), true
	case "cipher_suite":
		return tls.CipherSuiteName(c.TLS.CipherSuite), true
	case "negotiated_alpn":
		return c.TLS.NegotiatedProtocol, true
	case "session_resumed":
		return c.TLS.DidResume, true
	}
	if fact, ok := strings.CutPrefix(name, "client."); ok && len(c.TLS.PeerCertificates) > 0 {
		return CertificateFact(c.TLS.PeerCertificates[0], fact)
	}
	if fact, ok := strings.CutPrefix(name, "server."); ok && c.ServerCertificate != nil && c.ServerCertificate.Leaf != nil {
		return CertificateFact(c.ServerCertificate.Leaf, fact)
	}
	return nil, false
}

// CertificateFact returns a member of a certificate (traffic-policy.md 8.4).
func CertificateFact(c *x509.Certificate, name string) (any, bool) {
	switch name {
	case "subject":
		return c.Subject.String(), true
	case "issuer":
		return c.Issuer.String(), true
	case "san":
		return strings.Join(alternativeNames(c), ", "), true
	case "san.dns_names":
		return c.DNSNames, true
	case "san.email_addresses":
		return c.EmailAddresses, true
	case "san.ip_addresses", "san.uris":
		var list []string
		if name == "san.uris" {
			list = uris(c.URIs)
		} else {
			for _, ip := range c.IPAddresses {
				list = append(list, ip.String())
			}
		}
		return list, true
	case "serial_number":
		return c.SerialNumber.String(), true
	case "signature_algorithm":
		return c.SignatureAlgorithm.String(), true
	case "validity.not_before":
		return c.NotBefore, true
	case "validity.not_after":
		return c.NotAfter, true
	case "extensions":
		list := make([]any, len(c.Extensions))
		for i, e := range c.Extensions {
			list[i] = map[string]any{"id": e.Id.String(), "critical": e.Critical, "value": e.Value}
		}
		return list, true
	case "pem":
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), true
	}
	if part, ok := strings.CutPrefix(name, "subject."); ok {
		return nameFact(c.Subject, part)
	}
	if part, ok := strings.CutPrefix(name, "issuer."); ok {
		return nameFact(c.Issuer, part)
	}
	return nil, false
}

func nameFact(n pkix.Name, part string) (any, bool) {
	switch part {
	case "common_name":
		return n.CommonName, true
	case "country":
		return n.Country, true
	case "locality":
		return n.Locality, true
	case "organization": //nolint:misspell // as the reference spells it
		return n.Organization, true //nolint:misspell // its name in the standard library
	case "organizational_unit": //nolint:misspell // as the reference spells it
		return n.OrganizationalUnit, true
	case "postal_code":
		return n.PostalCode, true
	case "province":
		return n.Province, true
	case "street_address":
		return n.StreetAddress, true
	}
	return nil, false
}

func alternativeNames(c *x509.Certificate) []string {
	var all []string
	all = append(all, c.DNSNames...)
	all = append(all, c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return append(all, uris(c.URIs)...)
}

func uris(list []*url.URL) []string {
	var all []string
	for _, u := range list {
		all = append(all, u.String())
	}
	return all
}
