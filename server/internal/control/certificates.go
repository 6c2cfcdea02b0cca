package control

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/bundle"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// certificateDoc is a certificate as it is stored, uploaded or had automatically. Key is what a request brings; it is
// sealed before it is stored.
type certificateDoc struct {
	PEM    string `json:"certificate_pem"`
	Key    string `json:"private_key_pem,omitempty"`
	Sealed string `json:"sealed"`
	// IssuedAt is nil for what was uploaded; all below is empty then.
	IssuedAt *time.Time `json:"issued_at,omitempty"`
	RenewsAt *time.Time `json:"renews_at,omitempty"`
	// DomainID is the reserved domain that it was got for. Without one it is for Name, which is the server's own.
	DomainID string `json:"domain_id,omitempty"`
	Name     string `json:"name,omitempty"`
	api.Texts
}

func certificateCollection() store.Collection[certificateDoc] {
	return store.Collection[certificateDoc]{
		Kind: "tls_certificate",
		Keys: func(o *store.Object[certificateDoc]) []store.Key {
			if o.Doc.IssuedAt == nil {
				return nil
			}
			return []store.Key{issuedKey(o.Doc.DomainID, o.Doc.Name)}
		},
	}
}

// issuedKey is that of the certificate got for a domain, or for a name of the server's own.
func issuedKey(domainID, name string) store.Key {
	if domainID != "" {
		name = domainID
	}
	return store.Key{Space: "issued certificate", Value: name}
}

// certificatePlace is where the envelope of a certificate's key opens.
func certificatePlace(account, id string) string { return account + "/tls_certificate/" + id }

// NewTLSCertificates returns the rules of TLS certificates.
func NewTLSCertificates(s *Shared, sealer ValueSealer) Resource {
	return &resource[certificateDoc]{
		Shared: s, spec: api.TLSCertificates(), docs: certificateCollection(), noun: "tls_certificate",
		prepare: func(_ *Caller, old, o *store.Object[certificateDoc]) any {
			if old != nil {
				return nil
			}
			_, err := bundle.Parse(o.Doc.PEM, o.Doc.Key)
			return err
		},
		check: func(c *change, old, o *store.Object[certificateDoc]) error {
			if err, _ := c.ready.(error); err != nil {
				return err
			}
			if old == nil {
				o.Doc.Sealed, o.Doc.Key = sealer.SealValue(certificatePlace(o.Account, o.ID), vault.Secret(o.Doc.Key)), ""
			}
			return nil
		},
		remove: freeOfDomains,
		render: func(_ store.Tx, caller *Caller, o *store.Object[certificateDoc]) (any, error) {
			return showCertificate(caller, o)
		},
	}
}

// freeOfDomains refuses to delete a certificate that is served, or that the server would get anew.
func freeOfDomains(c *change, o *store.Object[certificateDoc]) error {
	domains := domainCollection()
	if o.Doc.IssuedAt != nil && o.Doc.DomainID == "" {
		if leaf, err := bundle.Leaf(o.Doc.PEM); err == nil && c.at.Before(leaf.NotAfter) {
			return fault.New(fault.CertificateManaged, o.ID)
		}
		return nil
	}
	for d, err := range domains.List(c.tx, store.Query{Account: o.Account, Parent: o.ID, Limit: 1}) {
		switch u, damaged := errors.AsType[*store.UnreadableError](err); {
		case damaged:
			return fault.New(fault.CertificateInUse, o.ID, u.ID)
		case err != nil:
			return err
		case o.Doc.IssuedAt != nil:
			return fault.New(fault.CertificateManaged, o.ID)
		}
		return fault.New(fault.CertificateInUse, o.ID, d.Doc.Domain)
	}
	return nil
}

// dropIssued deletes the certificate that was got for a domain, if there is one. No domain has it any more.
func dropIssued(c *change, domainID string) error {
	docs := certificateCollection()
	o, err := docs.Find(c.tx, issuedKey(domainID, ""))
	u, damaged := errors.AsType[*store.UnreadableError](err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case damaged:
		return docs.Delete(c.tx, u.ID)
	case err != nil:
		return err
	}
	before, err := showCertificate(c.caller, o)
	if err != nil {
		return err
	}
	if err := docs.Delete(c.tx, o.ID); err != nil {
		return err
	}
	return audit(c, "tls_certificate_deleted", before, nil)
}

// showCertificate returns a certificate as callers see it.
func showCertificate(caller *Caller, o *store.Object[certificateDoc]) (*api.TLSCertificate, error) {
	c, err := bundle.Leaf(o.Doc.PEM)
	if err != nil {
		return nil, &store.UnreadableError{Kind: "tls_certificate", ID: o.ID, Account: o.Account, Err: fmt.Errorf("its certificate: %w", err)}
	}
	a := &api.TLSCertificate{
		Meta: meta(caller, "/tls_certificates", o), Texts: o.Doc.Texts, CertificatePEM: o.Doc.PEM, IssuedAt: o.Doc.IssuedAt,
		SubjectCommonName: c.Subject.CommonName, SubjectAlternativeNames: alternativeNames(c), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		KeyUsages: bundle.KeyUsages(c), ExtendedKeyUsages: bundle.ExtendedKeyUsages(c), PrivateKeyType: bundle.KeyType(c),
		IssuerCommonName: c.Issuer.CommonName, SerialNumber: bundle.Serial(c),
		SubjectOrganization: first(c.Subject.Organization), SubjectOrganizationalUnit: first(c.Subject.OrganizationalUnit),
		SubjectLocality: first(c.Subject.Locality), SubjectProvince: first(c.Subject.Province), SubjectCountry: first(c.Subject.Country),
	}
	return a, nil
}

func alternativeNames(c *x509.Certificate) api.AlternativeNames {
	a := api.AlternativeNames{DNSNames: append([]string{}, c.DNSNames...), IPs: make([]string, 0, len(c.IPAddresses))}
	for _, ip := range c.IPAddresses {
		a.IPs = append(a.IPs, ip.String())
	}
	return a
}

// first returns the first of several texts, "" if there is none.
func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
