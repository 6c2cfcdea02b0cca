package renewal

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/control"
)

// Authority orders certificates.
type Authority interface {
	// Obtain orders one.
	Obtain(ctx context.Context, o acme.Order) (*acme.Issued, error)
	// RenewalTime returns when a certificate is to be renewed, the zero time if
	// nobody says.
	RenewalTime(ctx context.Context, leaf *x509.Certificate) time.Time
}

// Certificates knows what is wanted and what there is.
type Certificates interface {
	// Managed returns the custom domains with an automatic policy.
	Managed() []control.Managed
	// IssuedName returns the certificate of a name of the server's own.
	IssuedName(name string) (control.Issued, bool)
	// IssuedNames returns all of these.
	IssuedNames() []control.Issued
	// Changed gets a value when the answers may have changed.
	Changed() <-chan struct{}
}

// Issuance writes what came of an order.
type Issuance interface {
	// Issued stores a certificate. control.ErrNotFound: nobody wants it any more.
	Issued(ctx context.Context, is control.Issue) error
	// Forget removes the certificate of a name of the server's own.
	Forget(ctx context.Context, name string) error
	// Report writes how far a domain is.
	Report(ctx context.Context, domainID string, job *api.ProvisioningJob, renewsAt *time.Time) error
}

// Resolver finds what the DNS says of names, as a [net.Resolver] does.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// Own is a certificate that the server wants for itself.
type Own struct {
	// Name is what it is stored under.
	Name string
	// Names are those of the certificate.
	Names []string
	// Account owns it; default: the first account.
	Account string
	// RSA asks for a key of RSA.
	RSA bool
}

// Config is what a Driver needs.
type Config struct {
	Authority    Authority
	Certificates Certificates
	Issuance     Issuance
	// Own returns what the server wants for itself, now. nil: nothing.
	Own func() []Own
	// OwnChanged gets a value when Own may have another answer. nil: it is asked
	// every minute.
	OwnChanged <-chan struct{}
	// Resolver is asked about names before an authority is. Default: the system's.
	Resolver Resolver
	// Logger gets what an operator has to know. Default: none.
	Logger *slog.Logger
}

const (
	// parallel is how many orders are under way at once.
	parallel = 4
	// settle is how long more names are waited for when one has been chosen: agents
	// that all come back at once choose thousands.
	settle = time.Second
	// look is how often all names are looked at, besides when something changes.
	look = time.Minute
	// ask is how often authorities are asked for their times of renewal.
	ask = 6 * time.Hour
	// alarm is how long before its end a certificate whose renewal fails is a
	// reason to warn (reliability-security.md F42), every alarmPause.
	alarm, alarmPause = 14 * 24 * time.Hour, 24 * time.Hour
	// tidy is how often certificates are removed that have ended and that nobody
	// wants any more.
	tidy = time.Hour
	// ownPerHour bounds the orders for names of the server's own, which agents
	// may cause.
	ownPerHour = 10
)

// Driver gets certificates. Make it with New and run it once.
type Driver struct {
	cfg    Config
	log    *slog.Logger
	names  map[string]*state
	done   chan result
	busy   int
	own    []time.Time // when orders for names of the server's own began, within the last hour
	tidied time.Time
}

// New returns a driver that is not running yet.
func New(cfg Config) *Driver {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Own == nil {
		cfg.Own = func() []Own { return nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Driver{cfg: cfg, log: cfg.Logger, names: make(map[string]*state), done: make(chan result)}
}

// Run drives until ctx ends, and returns when no order is under way any more.
func (d *Driver) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		next := time.NewTimer(d.sweep(ctx))
		select {
		case <-ctx.Done():
		case <-d.cfg.Certificates.Changed():
		case <-d.cfg.OwnChanged:
			backoff.Sleep(ctx, settle)
		case <-next.C:
		case r := <-d.done:
			d.finish(r)
		}
		next.Stop()
	}
	for d.busy > 0 {
		d.finish(<-d.done)
	}
	return nil
}

// sweep starts what is due, as far as there is room, and warns of what is not
// renewed in time. It returns when to look again.
func (d *Driver) sweep(ctx context.Context) time.Duration {
	now := time.Now()
	next := look
	seen := make(map[string]bool, len(d.names))
	for _, t := range d.targets() {
		seen[t.key] = true
		s := d.names[t.key]
		if s == nil {
			s = resume(t, now)
			d.names[t.key] = s
		}
		s.see(t)
		d.warn(t, s, now)
		if at := s.next(t); !s.busy && at.After(now) {
			next = min(next, at.Sub(now))
		}
		if s.busy || d.busy >= parallel || !d.may(t, s, now) {
			continue
		}
		s.busy = true
		d.busy++
		go func() { d.done <- d.work(ctx, t, *s) }()
	}
	if now.Sub(d.tidied) >= tidy {
		d.tidied = now
		d.busy++
		go func() { d.forget(ctx, seen, now); d.done <- result{} }()
	}
	for key, s := range d.names {
		if !seen[key] && !s.busy {
			delete(d.names, key)
		}
	}
	return next
}

// may reports whether a name is to be worked on now.
func (d *Driver) may(t target, s *state, now time.Time) bool {
	if !s.due(t, now) {
		return s.asksAt.Before(now) && t.leaf != nil
	}
	if t.managed != nil {
		return true
	}
	for len(d.own) > 0 && now.Sub(d.own[0]) >= time.Hour {
		d.own = d.own[1:]
	}
	if len(d.own) >= ownPerHour {
		return false
	}
	d.own = append(d.own, now)
	return true
}

// warn says once a day that a certificate will end.
func (d *Driver) warn(t target, s *state, now time.Time) {
	if t.leaf == nil || s.failures == 0 || now.Before(t.renewsAt) || t.leaf.NotAfter.Sub(now) > alarm || now.Sub(s.warned) < alarmPause {
		return
	}
	s.warned = now
	d.log.Error("a certificate ends soon and could not be renewed", "name", t.name(), "ends", t.leaf.NotAfter.UTC().Format(time.RFC3339), "tries", s.failures, "err", s.reason)
}

// finish notes what a piece of work came to.
func (d *Driver) finish(r result) {
	d.busy--
	if s := d.names[r.key]; s != nil {
		s.busy = false
		s.take(r)
	}
}

// forget removes certificates of names of the server's own that have ended, but
// for those that are wanted.
func (d *Driver) forget(ctx context.Context, wanted map[string]bool, now time.Time) {
	for _, is := range d.cfg.Certificates.IssuedNames() {
		if wanted[is.Name] || now.Before(is.Leaf.NotAfter) {
			continue
		}
		if err := d.cfg.Issuance.Forget(ctx, is.Name); err != nil && ctx.Err() == nil {
			d.log.Warn("an old certificate was not removed", "name", is.Name, "err", err)
		}
	}
}
