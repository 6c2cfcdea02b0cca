package control

import (
	"cmp"
	"context"
	"errors"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/store"
)

// judgeCertificate applies the rules about certificates (api.md 2.2). An empty certificate_id, and that of the
// certificate which the domain has, leave it as it is.
func (d *domains) judgeCertificate(c *change, old, o *store.Object[domainDoc]) error {
	doc := &o.Doc
	var had string
	if old != nil {
		had = old.Doc.CertificateID
	}
	doc.CertificateID = cmp.Or(doc.CertificateID, had)
	another := doc.CertificateID != had
	_, policy := c.body["certificate_management_policy"]
	base := claims.BaseOf(d.cfg.Domains, doc.Domain) != ""
	switch {
	case base && another:
		return fault.New(fault.DomainBaseCertificate, doc.Domain)
	case base && policy:
		return fault.New(fault.DomainBasePolicy, doc.Domain)
	case another && policy:
		return fault.New(fault.DomainCertificateTwice)
	case another:
		return attach(c, old, o)
	case policy:
		manage(c, old, doc)
	case old == nil && !base:
		doc.Policy = &api.CertificatePolicy{}
		manage(c, nil, doc)
	}
	return nil
}

// manage lets the server get the certificate from now on. What was uploaded is served until then.
func manage(c *change, old *store.Object[domainDoc], doc *domainDoc) {
	doc.Policy.Authority, doc.Policy.PrivateKeyType = cmp.Or(doc.Policy.Authority, "letsencrypt"), cmp.Or(doc.Policy.PrivateKeyType, "ecdsa")
	if same := old != nil && old.Doc.Policy != nil && *old.Doc.Policy == *doc.Policy; !same || doc.Job != nil {
		doc.AskedAt = new(c.at)
	}
}

// attach has a domain served with an uploaded certificate. That ends its policy.
func attach(c *change, old, o *store.Object[domainDoc]) error {
	docs := certificateCollection()
	cert, err := docs.Get(c.tx, o.Doc.CertificateID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && cert.Account != o.Account:
		return fault.New(fault.CertificateUnknown, o.Doc.CertificateID)
	case err != nil:
		return err
	case cert.Doc.IssuedAt != nil:
		return fault.New(fault.CertificateManaged, cert.ID)
	case old == nil:
		return nil
	}
	o.Doc.unmanage()
	return dropIssued(c, o.ID)
}

// unmanage ends the policy for certificates.
func (d *domainDoc) unmanage() { d.Policy, d.AskedAt, d.RenewsAt, d.Job = nil, nil, nil, nil }

// Act takes certificates off a domain.
func (d *domains) Act(ctx context.Context, caller *Caller, id, action string, _ []byte) (any, error) {
	return nil, d.update(ctx, caller, func(c *change) error {
		o, err := d.own(c.tx, caller, id)
		if err != nil {
			return err
		}
		before := d.show(caller, o)
		switch changed, err := d.detach(c, o, action); {
		case err != nil:
			return err
		case !changed:
			return nil
		}
		o.UpdatedAt = c.at
		if err := d.docs.Put(c.tx, o); err != nil {
			return err
		}
		return audit(c, d.noun+"_updated", before, d.show(caller, o))
	})
}

// detach takes the certificate off a domain, or ends its policy, and with that the certificate that was got for it.
func (d *domains) detach(c *change, o *store.Object[domainDoc], action string) (changed bool, err error) {
	issued, err := isIssued(c.tx, o)
	if err != nil {
		return false, err
	}
	doc := &o.Doc
	switch action {
	case api.DetachCertificate:
		if issued {
			return false, fault.New(fault.DomainCertificateManaged, doc.Domain)
		}
		changed, doc.CertificateID = doc.CertificateID != "", ""
		return changed, nil
	case api.DetachCertificatePolicy:
		if changed = doc.Policy != nil; !changed {
			return false, nil
		}
		doc.unmanage()
		if issued {
			doc.CertificateID = ""
		}
		return true, dropIssued(c, o.ID)
	}
	return false, nil
}

// isIssued reports whether the certificate that a domain has is the one got for it.
func isIssued(tx store.Tx, o *store.Object[domainDoc]) (bool, error) {
	docs := certificateCollection()
	cert, err := docs.Find(tx, issuedKey(o.ID, ""))
	switch u, damaged := errors.AsType[*store.UnreadableError](err); {
	case damaged:
		return u.ID == o.Doc.CertificateID, nil
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return cert.ID == o.Doc.CertificateID, nil
}
