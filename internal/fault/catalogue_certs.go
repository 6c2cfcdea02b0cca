package fault

// Faults of certificates and certificate authorities (api.md 2.4, 2.5).
const (
	// DomainCertificateManaged means that a certificate which the server has got cannot be taken off alone. Argument: the domain's name.
	DomainCertificateManaged Code = "ERR_NGROK_436"
	// CertificateUnparsable means that a certificate cannot be read. Argument: why.
	CertificateUnparsable Code = "ERR_NGROK_1900"
	// KeyMissing means that a text has no private key.
	KeyMissing Code = "ERR_NGROK_1901"
	// KeyEncrypted means that a private key is encrypted.
	KeyEncrypted Code = "ERR_NGROK_1902"
	// KeyUnparsable means that a private key cannot be read, or is of a kind that cannot be used. Argument: why.
	KeyUnparsable Code = "ERR_NGROK_1903"
	// AuthorityHeaders means that the PEM of an authority has headers.
	AuthorityHeaders Code = "ERR_NGROK_1910"
	// AuthorityBlock means that the PEM of an authority is something else. Argument: what.
	AuthorityBlock Code = "ERR_NGROK_1911"
	// AuthorityTwice means that the PEM of an authority has several certificates.
	AuthorityTwice Code = "ERR_NGROK_1912"
	// AuthorityNoCA means that the certificate is not that of an authority.
	AuthorityNoCA Code = "ERR_NGROK_1913"
	// AuthorityDescription means that the description of an authority is too long.
	AuthorityDescription Code = "ERR_NGROK_1914"
	// AuthorityMetadata means that the metadata of an authority are too long.
	AuthorityMetadata Code = "ERR_NGROK_1915"
	// CertificateDescription means that the description of a certificate is too long.
	CertificateDescription Code = "ERR_NGROK_1916"
	// CertificateMetadata means that the metadata of a certificate are too long.
	CertificateMetadata Code = "ERR_NGROK_1917"
	// AuthorityMissing means that the text of an authority is empty.
	AuthorityMissing Code = "ERR_NGROK_1919"
	// AuthorityNoPEM means that the text of an authority is no certificate in PEM. Argument: why.
	AuthorityNoPEM Code = "ERR_NGROK_1920"
	// AuthorityLong means that the text of an authority is too long.
	AuthorityLong Code = "ERR_NGROK_1921"
	// CertificateMissing means that a text has no certificate.
	CertificateMissing Code = "ERR_NGROK_1922"
	// KeyMismatch means that a private key is not that of the certificate.
	KeyMismatch Code = "ERR_NGROK_1923"
	// CertificateIsKey means that a private key stands where a certificate is wanted.
	CertificateIsKey Code = "ERR_NGROK_1924"
	// KeyIsCertificate means that a certificate stands where a private key is wanted.
	KeyIsCertificate Code = "ERR_NGROK_1925"
	// CertificateOrder means that the certificates of a chain are in another order. Argument: what is wrong.
	CertificateOrder Code = "ERR_NGROK_1926"
	// CertificateManaged means that a certificate which the server has got cannot be deleted or attached. Argument: its id.
	CertificateManaged Code = "ERR_NGROK_1966"
	// CertificateInUse means that a certificate to be deleted is a domain's. Arguments: its id, the domain's name.
	CertificateInUse Code = "ERR_CULVERT_1691"
)

func certificateEntries() []Entry {
	const pem = "Give text in PEM, from BEGIN CERTIFICATE to END CERTIFICATE."
	return []Entry{
		{Code: DomainCertificateManaged, Status: 400, Title: "Certificate is automatic", Message: "The certificate of %s is had automatically and cannot be taken off alone.", Remedy: "End the policy instead: culvert api reserved-domains detach-certificate-management-policy ID."},
		{Code: CertificateUnparsable, Status: 400, Title: "Certificate not readable", Message: "certificate_pem cannot be read: %s.", Remedy: pem},
		{Code: KeyMissing, Status: 400, Title: "No private key", Message: "private_key_pem has no private key.", Remedy: "Give text in PEM, from BEGIN PRIVATE KEY to END PRIVATE KEY."},
		{Code: KeyEncrypted, Status: 400, Title: "Private key encrypted", Message: "The private key in private_key_pem is encrypted.", Remedy: "Decrypt it first: openssl pkey -in KEY.pem."},
		{Code: KeyUnparsable, Status: 400, Title: "Private key not usable", Message: "private_key_pem cannot be used: %s.", Remedy: "Give a key of RSA, ECDSA or Ed25519 in PEM."},
		{Code: AuthorityHeaders, Status: 400, Title: "Headers in a certificate", Message: "The block in ca_pem has headers, which a certificate has not.", Remedy: pem},
		{Code: AuthorityBlock, Status: 400, Title: "No certificate", Message: "The block in ca_pem is of the type %q.", Remedy: pem},
		{Code: AuthorityTwice, Status: 400, Title: "Several certificates", Message: "ca_pem has several certificates.", Remedy: "Make one certificate authority of each."},
		{Code: AuthorityNoCA, Status: 400, Title: "No certificate authority", Message: "The certificate in ca_pem is not that of an authority: it may not sign others.", Remedy: "Give the certificate of who signed your clients' certificates."},
		{Code: AuthorityDescription, Status: 400, Title: "Description too long", Message: "The description of a certificate authority has at most 255 bytes.", Remedy: "Shorten it."},
		{Code: AuthorityMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata of a certificate authority have at most 4096 bytes.", Remedy: "Shorten them."},
		{Code: CertificateDescription, Status: 400, Title: "Description too long", Message: "The description of a certificate has at most 255 bytes.", Remedy: "Shorten it."},
		{Code: CertificateMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata of a certificate have at most 4096 bytes.", Remedy: "Shorten them."},
		{Code: AuthorityMissing, Status: 400, Title: "No certificate authority", Message: "ca_pem is empty.", Remedy: pem},
		{Code: AuthorityNoPEM, Status: 400, Title: "Certificate authority not readable", Message: "ca_pem cannot be read: %s.", Remedy: pem},
		{Code: AuthorityLong, Status: 400, Title: "Certificate authority too long", Message: "ca_pem has more than 64 KiB.", Remedy: "Give one certificate."},
		{Code: CertificateMissing, Status: 400, Title: "No certificate", Message: "certificate_pem has no certificate.", Remedy: pem},
		{Code: KeyMismatch, Status: 400, Title: "Key of another certificate", Message: "The private key is not that of the certificate.", Remedy: "Give the key that the certificate was made for."},
		{Code: CertificateIsKey, Status: 400, Title: "Key in the certificate's place", Message: "certificate_pem holds a private key, and is shown to all who may read it.", Remedy: "Give certificates alone there, and the key in private_key_pem."},
		{Code: KeyIsCertificate, Status: 400, Title: "Certificate in the key's place", Message: "private_key_pem holds a certificate and no key.", Remedy: "Give the key there, and the certificate in certificate_pem."},
		{Code: CertificateOrder, Status: 400, Title: "Certificates out of order", Message: "The certificates in certificate_pem are out of order: %s.", Remedy: "Put the certificate of the server first, and behind each the one that signed it."},
		{Code: CertificateManaged, Status: 400, Title: "Certificate is automatic", Message: "The certificate %s is had automatically, for one name.", Remedy: "End the certificate policy of its domain, and upload a certificate to use one elsewhere."},
		{Code: CertificateInUse, Status: 400, Title: "Certificate in use", Message: "The certificate %s is that of the domain %s.", Remedy: "Take it off first: culvert api reserved-domains detach-certificate ID."},
	}
}
