package renewal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// The codes of jobs (endpoints.md 5.1).
const (
	dnsError      = "DNS_ERROR"
	internalError = "INTERNAL_ERROR"
)

// storePause is how long to wait before a certificate is stored that could not
// be: it was hard to get.
const storePause = 10 * time.Second

// work does what is due for a target: orders a certificate, or asks when.
func (d *Driver) work(ctx context.Context, t target, s state) result {
	now := time.Now()
	r := result{key: t.key, started: s.started}
	if s.failures == 0 {
		r.started = now
	}
	if !s.due(t, now) {
		r.renewsAt = hint(t.leaf, d.cfg.Authority.RenewalTime(ctx, t.leaf))
		if t.managed != nil && !r.renewsAt.IsZero() && !r.renewsAt.Equal(t.renewsAt) {
			d.report(ctx, t, t.managed.Job, &r.renewsAt)
		}
		return r
	}
	r.ordered = true
	d.report(ctx, t, &api.ProvisioningJob{Msg: "The certificate is being ordered.", StartedAt: r.started}, nil)
	err := d.order(ctx, t)
	switch {
	case err == nil, ctx.Err() != nil:
		return r
	case errors.Is(err, control.ErrNotFound): // nobody wants it any more
		r.err = err
		return r
	}
	r.err = err
	code := internalError
	if e, ok := errors.AsType[*acme.Error](err); ok && e.DNS {
		code = dnsError
	}
	retriesAt := time.Now().Add(pause(s.failures))
	d.log.Warn("no certificate", "name", t.name(), "err", err, "retry", retriesAt.UTC().Format(time.RFC3339))
	d.report(ctx, t, job(code, sentence(err), r.started, retriesAt), nil)
	return r
}

// order gets a certificate and stores it.
func (d *Driver) order(ctx context.Context, t target) error {
	o := acme.Order{Names: t.names, RSA: t.rsa, Replaces: t.leaf}
	if t.managed != nil {
		var err error
		if o.Record, err = d.check(ctx, t.managed); err != nil {
			return err
		}
	}
	issued, err := d.cfg.Authority.Obtain(ctx, o)
	if err != nil {
		return err
	}
	is := control.Issue{
		Account: t.account, Name: t.key, CertificatePEM: string(issued.CertificatePEM), PrivateKeyPEM: vault.Secret(issued.PrivateKeyPEM),
		IssuedAt: time.Now(), RenewsAt: hint(issued.Leaf, d.cfg.Authority.RenewalTime(ctx, issued.Leaf)),
	}
	if is.RenewsAt.IsZero() {
		is.RenewsAt = twoThirds(issued.Leaf)
	}
	if t.managed != nil {
		is.DomainID, is.Name = t.managed.ID, t.managed.Name
	}
	for {
		err := d.cfg.Issuance.Issued(ctx, is)
		if err == nil {
			d.log.Info("certificate issued", "name", t.name(), "authority", issued.Authority, "ends", issued.Leaf.NotAfter.UTC().Format(time.RFC3339))
			return nil
		}
		if errors.Is(err, control.ErrNotFound) || ctx.Err() != nil {
			return err
		}
		d.log.Error("a certificate was issued and cannot be stored yet", "name", t.name(), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(storePause):
		}
	}
}

// report writes how far a domain is. That it cannot be written does not stop an
// order.
func (d *Driver) report(ctx context.Context, t target, job *api.ProvisioningJob, renewsAt *time.Time) {
	if t.managed == nil {
		return
	}
	if err := d.cfg.Issuance.Report(ctx, t.managed.ID, job, renewsAt); err != nil && !errors.Is(err, control.ErrNotFound) {
		d.log.Warn("the state of a certificate was not written", "name", t.name(), "err", err)
	}
}

// maxMsg bounds what an authority's words take of a document.
const maxMsg = 1000

// sentence is an error as owners of domains read it.
func sentence(err error) string {
	msg := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "")
	if len(msg) > maxMsg {
		msg = strings.ToValidUTF8(msg[:maxMsg], "") + "…"
	}
	return msg
}

// check judges the DNS records of a domain before an authority does. It returns
// where proofs by DNS are to be written, "" for the name itself.
func (d *Driver) check(ctx context.Context, m *control.Managed) (record string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if base, ok := strings.CutPrefix(m.Name, "*."); ok {
		return d.delegation(ctx, "_acme-challenge."+base, m.ChallengeTarget), nil
	}
	addrs, err := d.cfg.Resolver.LookupHost(ctx, m.Name)
	if err != nil {
		return "", &acme.Error{DNS: true, Err: fmt.Errorf("%s cannot be found in the DNS (%w); make a CNAME record that points to %s, or one with the server's address", m.Name, err, m.CNAMETarget)}
	}
	ours, err := d.cfg.Resolver.LookupHost(ctx, m.CNAMETarget)
	if err != nil {
		return "", nil // nobody has set up that name: the authority will judge
	}
	for _, a := range addrs {
		for _, b := range ours {
			if a == b {
				return "", nil
			}
		}
	}
	return "", &acme.Error{DNS: true, Err: fmt.Errorf("%s leads to %s, and %s to %s; make it a CNAME record that points there", m.Name, strings.Join(addrs, ", "), m.CNAMETarget, strings.Join(ours, ", "))}
}

// checkTime bounds the look at a domain's records.
const checkTime = 20 * time.Second

// delegation returns a target if the name is an alias of it.
func (d *Driver) delegation(ctx context.Context, name, target string) string {
	if target == "" {
		return ""
	}
	if found, err := d.cfg.Resolver.LookupCNAME(ctx, name); err == nil && strings.EqualFold(strings.TrimSuffix(found, "."), target) {
		return target
	}
	return ""
}
