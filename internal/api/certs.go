package api

import (
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// MaxPEM is how long a text of certificates may be, in bytes.
const MaxPEM = 64 << 10

// TLSCertificate is a certificate that domains are served with (api.md 2.4).
type TLSCertificate struct {
	Meta
	Texts
	// CertificatePEM is what was uploaded, byte for byte.
	CertificatePEM          string           `json:"certificate_pem"`
	SubjectCommonName       string           `json:"subject_common_name"`
	SubjectAlternativeNames AlternativeNames `json:"subject_alternative_names"`
	// IssuedAt is null for what was uploaded.
	IssuedAt                  *time.Time `json:"issued_at"`
	NotBefore                 time.Time  `json:"not_before"`
	NotAfter                  time.Time  `json:"not_after"`
	KeyUsages                 []string   `json:"key_usages"`
	ExtendedKeyUsages         []string   `json:"extended_key_usages"`
	PrivateKeyType            string     `json:"private_key_type"`
	IssuerCommonName          string     `json:"issuer_common_name"`
	SerialNumber              string     `json:"serial_number"`
	SubjectOrganization       string     `json:"subject_organization"`
	SubjectOrganizationalUnit string     `json:"subject_organizational_unit"`
	SubjectLocality           string     `json:"subject_locality"`
	SubjectProvince           string     `json:"subject_province"`
	SubjectCountry            string     `json:"subject_country"`
}

// AlternativeNames are what a certificate is for.
type AlternativeNames struct {
	DNSNames []string `json:"dns_names"`
	IPs      []string `json:"ips"`
}

// TLSCertificates is the table of certificates.
func TLSCertificates() *Resource {
	return &Resource{
		Name: "TLS certificate", Path: "/tls_certificates", ListKey: "tls_certificates", Prefix: "cert", Verbs: crud(),
		Fields: append([]Field{
			{Name: "certificate_pem", Create: Required, Max: MaxPEM, Missing: fault.CertificateMissing, Doc: "the certificate in PEM, and behind it those that signed it"},
			{Name: "private_key_pem", Create: Required, Max: MaxPEM, Missing: fault.KeyMissing, Secret: true, Doc: "its private key in PEM, not encrypted; it is never shown again"},
			{Name: "issued_at", Type: Time, Doc: "when it was had automatically; null for what was uploaded"},
			{Name: "subject_common_name", Doc: "the name of its subject"},
			{Name: "subject_alternative_names", Type: Object, Doc: "what it is for", Fields: []Field{
				{Name: "dns_names", Type: Strings, Doc: "names"},
				{Name: "ips", Type: Strings, Doc: "addresses"},
			}},
			{Name: "not_before", Type: Time, Doc: "from when it is valid"},
			{Name: "not_after", Type: Time, Doc: "until when it is valid"},
			{Name: "key_usages", Type: Strings, Doc: "what its key may be used for"},
			{Name: "extended_key_usages", Type: Strings, Doc: "what it may be used for"},
			{Name: "private_key_type", Doc: "rsa, ecdsa or ed25519"},
			{Name: "issuer_common_name", Doc: "the name of who signed it"},
			{Name: "serial_number", Doc: "its number, in hexadecimal"},
			{Name: "subject_organization", Doc: "the organisation of its subject"},
			{Name: "subject_organizational_unit", Doc: "the unit of that organisation"},
			{Name: "subject_locality", Doc: "the place of its subject"},
			{Name: "subject_province", Doc: "the province of its subject"},
			{Name: "subject_country", Doc: "the country of its subject"},
		}, texts(fault.CertificateDescription, fault.CertificateMetadata)...),
		Filter:   []string{"id", "created_at", "description", "metadata", "subject_common_name", "not_before", "not_after", "serial_number"},
		NotFound: fault.CertificateUnknown, Answer: TLSCertificate{}, Aliases: []string{"certificates"},
		Doc: "A TLS certificate is uploaded with its key, to be served for a reserved domain. Those that the server got by itself are here too.",
	}
}

// CertificateAuthority is an authority whose certificates clients may show (api.md 2.5).
type CertificateAuthority struct {
	Meta
	Texts
	// CAPEM is what was uploaded, byte for byte.
	CAPEM             string    `json:"ca_pem"`
	SubjectCommonName string    `json:"subject_common_name"`
	NotBefore         time.Time `json:"not_before"`
	NotAfter          time.Time `json:"not_after"`
	KeyUsages         []string  `json:"key_usages"`
	ExtendedKeyUsages []string  `json:"extended_key_usages"`
}

// CertificateAuthorities is the table of certificate authorities.
func CertificateAuthorities() *Resource {
	return &Resource{
		Name: "certificate authority", Path: "/certificate_authorities", ListKey: "certificate_authorities", Prefix: "ca", Verbs: crud(),
		Fields: append([]Field{
			{Name: "ca_pem", Create: Required, Max: MaxPEM, Missing: fault.AuthorityMissing, TooLong: fault.AuthorityLong, Doc: "the certificate of the authority, in PEM"},
			{Name: "subject_common_name", Doc: "the authority's name"},
			{Name: "not_before", Type: Time, Doc: "from when it is valid"},
			{Name: "not_after", Type: Time, Doc: "until when it is valid"},
			{Name: "key_usages", Type: Strings, Doc: "what its key may be used for"},
			{Name: "extended_key_usages", Type: Strings, Doc: "what it may be used for"},
		}, texts(fault.AuthorityDescription, fault.AuthorityMetadata)...),
		Filter: []string{"id", "created_at", "description", "metadata", "subject_common_name", "not_before", "not_after"},
		Answer: CertificateAuthority{},
		Doc:    "A certificate authority signs the certificates of clients that terminate-tls lets in.",
	}
}
