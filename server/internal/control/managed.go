package control

import (
	"cmp"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// Managed is a reserved name whose certificates the server has to get.
type Managed struct {
	// ID is that of the reserved domain, Account its owner.
	ID, Account string
	// Name is canonical, and may be a wildcard.
	Name   string
	Policy api.CertificatePolicy
	// AskedAt is when the owner set the policy or asked for it again: what failed before then is to be tried anew.
	AskedAt time.Time
	// CNAMETarget is where the name has to point to, ChallengeTarget where _acme-challenge of a wildcard has to; ""
	// for other names.
	CNAMETarget, ChallengeTarget string
	// Current is the certificate that the server has got for it, nil if there is none yet.
	Current *Issued
	// RenewsAt and Job are as they were reported last.
	RenewsAt *time.Time
	Job      *api.ProvisioningJob
}

// Issued is a certificate that the server has got.
type Issued struct {
	CertificateID, Account, Name string
	// CertificatePEM is the leaf and what signed it; Leaf is the leaf.
	CertificatePEM string
	Leaf           *x509.Certificate
	IssuedAt       time.Time
	RenewsAt       *time.Time
}

// Managed returns the reserved names outside the base domains that have a policy for certificates, sorted.
func (c *Certificates) Managed() []Managed {
	var list []Managed
	for _, d := range c.served() {
		if d.Doc.Policy == nil || claims.BaseOf(c.cfg.Domains, d.Doc.Domain) != "" {
			continue
		}
		m := Managed{
			ID: d.ID, Account: d.Account, Name: d.Doc.Domain, Policy: *d.Doc.Policy, AskedAt: d.CreatedAt, RenewsAt: d.Doc.RenewsAt, Job: d.Doc.Job,
		}
		if at := d.Doc.AskedAt; at != nil {
			m.AskedAt = *at
		}
		m.CNAMETarget, m.ChallengeTarget = c.cfg.targets(d.Object)
		if d.cert != nil {
			m.Current = d.cert.issued(d.Doc.Domain)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Managed) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// IssuedName returns what the server has got for a name of its own.
func (c *Certificates) IssuedName(name string) (Issued, bool) {
	c.mu.RLock()
	live := c.own[name]
	c.mu.RUnlock()
	if live != nil {
		if is := live.issued(name); is != nil {
			return *is, true
		}
	}
	return Issued{}, false
}

// IssuedNames returns all that the server has got for names of its own, sorted.
func (c *Certificates) IssuedNames() []Issued {
	c.mu.RLock()
	own := maps.Clone(c.own)
	c.mu.RUnlock()
	var list []Issued
	for name, live := range own {
		if is := live.issued(name); is != nil {
			list = append(list, *is)
		}
	}
	slices.SortFunc(list, func(a, b Issued) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// issued returns what is told of a certificate that the server has got, nil if it does not parse.
func (l *liveCertificate) issued(name string) *Issued {
	leaf := l.parse()
	if leaf == nil || l.Doc.IssuedAt == nil {
		return nil
	}
	return &Issued{
		CertificateID: l.ID, Account: l.Account, Name: name, CertificatePEM: l.Doc.PEM, Leaf: leaf, IssuedAt: *l.Doc.IssuedAt, RenewsAt: l.Doc.RenewsAt,
	}
}
