package control

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/bundle"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Issuance writes what came of getting certificates. What is to be got, [Certificates] tells.
type Issuance struct {
	*Shared
	sealer  ValueSealer
	domains domains // to show them
}

// NewIssuance returns an Issuance that seals keys with sealer. cfg is that of the domains.
func NewIssuance(s *Shared, sealer ValueSealer, cfg DomainsConfig) *Issuance {
	return &Issuance{Shared: s, sealer: sealer, domains: domains{cfg: cfg.withDefaults()}}
}

// Issue is a certificate that was got.
type Issue struct {
	// DomainID is the reserved domain that it is for, "" for a name of the server's own.
	DomainID string
	// Account is whose object that of a server's own name is. Default: the first account.
	Account string
	// Name is what it is for.
	Name string
	// CertificatePEM is the leaf and what signed it; PrivateKeyPEM its key.
	CertificatePEM string
	PrivateKeyPEM  vault.Secret
	IssuedAt       time.Time
	RenewsAt       time.Time
}

// Issued stores a certificate and has its name served with it, from when it returns. The certificate that the name had
// before is replaced and keeps its id. It fails with [ErrNotFound] if the domain has gone, or its policy, and with a
// fault of package bundle if certificate and key are not usable.
func (i *Issuance) Issued(ctx context.Context, is Issue) error {
	if _, err := bundle.Parse(is.CertificatePEM, string(is.PrivateKeyPEM)); err != nil {
		return err
	}
	return i.update(ctx, &Caller{}, func(c *change) error {
		if is.DomainID == "" {
			c.caller.Account = cmp.Or(is.Account, identity.DefaultAccount)
			_, err := i.keep(c, is)
			return err
		}
		d, err := managed(c.tx, is.DomainID)
		if err != nil || d.Doc.Domain != is.Name {
			return cmp.Or(err, ErrNotFound)
		}
		c.caller.Account = d.Account
		before := i.domains.show(c.caller, d)
		id, err := i.keep(c, is)
		if err != nil {
			return err
		}
		d.Doc.CertificateID, d.Doc.Job, d.Doc.RenewsAt, d.UpdatedAt = id, nil, new(seconds(is.RenewsAt.UTC())), c.at
		docs := domainCollection()
		if err := docs.Put(c.tx, d); err != nil {
			return err
		}
		return audit(c, "domain_updated", before, i.domains.show(c.caller, d))
	})
}

// keep stores a certificate in the place of the one that its name had, and returns its id.
func (i *Issuance) keep(c *change, is Issue) (string, error) {
	docs := certificateCollection()
	o, err := docs.Find(c.tx, issuedKey(is.DomainID, is.Name))
	u, damaged := errors.AsType[*store.UnreadableError](err)
	what := "tls_certificate_updated"
	var before any
	switch {
	case err == nil:
		if shown, err := showCertificate(c.caller, o); err == nil {
			before = shown
		}
	case damaged:
		if err := docs.Delete(c.tx, u.ID); err != nil {
			return "", err
		}
		fallthrough
	case errors.Is(err, store.ErrNotFound):
		what = "tls_certificate_created"
		o = &store.Object[certificateDoc]{ID: id.NewSorted("cert"), Account: c.caller.Account, CreatedAt: c.at}
	default:
		return "", err
	}
	o.UpdatedAt = c.at
	o.Doc.PEM, o.Doc.DomainID, o.Doc.IssuedAt, o.Doc.RenewsAt = is.CertificatePEM, is.DomainID, new(seconds(is.IssuedAt.UTC())), new(seconds(is.RenewsAt.UTC()))
	if is.DomainID == "" {
		o.Doc.Name = is.Name
	}
	o.Doc.Sealed = i.sealer.SealValue(certificatePlace(o.Account, o.ID), is.PrivateKeyPEM)
	if err := docs.Put(c.tx, o); err != nil {
		return "", err
	}
	after, err := showCertificate(c.caller, o)
	if err != nil {
		return "", err
	}
	return o.ID, audit(c, what, before, after)
}

// managed returns a domain that has a policy for certificates, or fails with [ErrNotFound].
func managed(tx store.Tx, id string) (*store.Object[domainDoc], error) {
	docs := domainCollection()
	d, err := docs.Get(tx, id)
	if err == nil && d.Doc.Policy == nil {
		err = ErrNotFound
	}
	return d, err
}

// Report stores how far the certificate of a domain is: what is being done or has failed, nil if nothing is; and, if
// it is not nil, when the certificate is renewed. It fails with [ErrNotFound] if the domain has gone, or its policy.
// It is no change of what the owner wants, and so not recorded as one.
func (i *Issuance) Report(ctx context.Context, domainID string, job *api.ProvisioningJob, renewsAt *time.Time) error {
	return i.update(ctx, &Caller{}, func(c *change) error {
		d, err := managed(c.tx, domainID)
		if err != nil {
			return err
		}
		was := d.Doc
		if d.Doc.Job = inSeconds(job); renewsAt != nil {
			d.Doc.RenewsAt = new(seconds(renewsAt.UTC()))
		}
		if reflect.DeepEqual(was, d.Doc) {
			return nil
		}
		docs := domainCollection()
		return docs.Put(c.tx, d)
	})
}

// inSeconds returns a copy of a job with times as they are stored.
func inSeconds(job *api.ProvisioningJob) *api.ProvisioningJob {
	if job == nil {
		return nil
	}
	j := *job
	j.StartedAt = seconds(j.StartedAt.UTC())
	if j.RetriesAt != nil {
		j.RetriesAt = new(seconds(j.RetriesAt.UTC()))
	}
	return &j
}

// Forget deletes the certificate of a name of the server's own, if there is one.
func (i *Issuance) Forget(ctx context.Context, name string) error {
	return i.update(ctx, &Caller{Account: identity.DefaultAccount}, func(c *change) error {
		docs := certificateCollection()
		o, err := docs.Find(c.tx, issuedKey("", name))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c.caller.Account = o.Account
		before, err := showCertificate(c.caller, o)
		if err != nil {
			return err
		}
		if err := docs.Delete(c.tx, o.ID); err != nil {
			return err
		}
		return audit(c, "tls_certificate_deleted", before, nil)
	})
}
