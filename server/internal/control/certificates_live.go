package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/server/internal/bundle"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Certificates is the copy in memory of the certificates that names are served with, uploaded or had automatically. It
// is a store.Projection, and empty before it is loaded. Questions never wait for the store: a key is opened when its
// name is first asked for, and then kept.
type Certificates struct {
	sealer  ValueSealer
	log     *slog.Logger
	cfg     DomainsConfig
	now     func() time.Time
	changed chan struct{}

	mu      sync.RWMutex
	domains map[string]*store.Object[domainDoc] // by id; guarded by mu, as is all below
	names   map[string]*store.Object[domainDoc] // by name
	certs   map[string]*liveCertificate         // by id
	own     map[string]*liveCertificate         // those of the server's own names, by name
}

// liveCertificate is a certificate that is parsed and opened when somebody asks for it.
type liveCertificate struct {
	*store.Object[certificateDoc]
	*parsedCertificate
}

// parsedCertificate is what has been asked for of a certificate: its leaf, and all of it with its key.
type parsedCertificate struct {
	leaf   atomic.Pointer[x509.Certificate]
	opened atomic.Pointer[tls.Certificate]
}

// servedDomain is a domain with its certificate, nil if it has none.
type servedDomain struct {
	*store.Object[domainDoc]

	cert *liveCertificate
}

// NewCertificates returns a copy that opens private keys with sealer.
func NewCertificates(sealer ValueSealer, log *slog.Logger, cfg DomainsConfig) *Certificates {
	c := &Certificates{sealer: sealer, log: log, cfg: cfg.withDefaults(), now: time.Now, changed: make(chan struct{}, 1)}
	c.clear()
	return c
}

func (c *Certificates) clear() {
	c.domains, c.names = map[string]*store.Object[domainDoc]{}, map[string]*store.Object[domainDoc]{}
	c.certs, c.own = map[string]*liveCertificate{}, map[string]*liveCertificate{}
}

// Certificate returns the certificate of a canonical host, nil if there is none for it: that of the domain with
// exactly this name; else one of a name above that is for the host too, the nearest first; else one that the server
// has got for itself, while it is valid.
func (c *Certificates) Certificate(host string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.certs) == 0 {
		return nil
	}
	for name := range claims.Above(host) {
		d := c.names[name]
		if d == nil || c.certs[d.Doc.CertificateID] == nil {
			continue
		}
		pair := c.open(c.certs[d.Doc.CertificateID])
		if pair != nil && (name == host || pair.Leaf.VerifyHostname(host) == nil) {
			return pair
		}
	}
	_, parent, _ := strings.Cut(host, ".")
	for _, name := range [...]string{host, "*." + parent, parent, "*." + host} {
		live := c.own[name]
		if live == nil {
			continue
		}
		pair := c.open(live)
		if pair != nil && pair.Leaf.VerifyHostname(host) == nil && c.now().Before(pair.Leaf.NotAfter) {
			return pair
		}
	}
	return nil
}

// open returns a certificate with its key, nil if the server's keys do not open it, which they may do the next time.
func (c *Certificates) open(live *liveCertificate) *tls.Certificate {
	if pair := live.opened.Load(); pair != nil {
		return pair
	}
	key, err := c.sealer.OpenValue(certificatePlace(live.Account, live.ID), live.Doc.Sealed)
	if err != nil {
		return nil
	}
	pair, err := bundle.Parse(live.Doc.PEM, string(key))
	if err != nil {
		return nil
	}
	live.opened.CompareAndSwap(nil, pair) // the same one for all
	return live.opened.Load()
}

// Load implements store.Projection. What cannot be read stays as it was.
func (c *Certificates) Load(tx store.Tx) error {
	fresh := &Certificates{}
	fresh.clear()
	docs, certs := domainCollection(), certificateCollection()
	var bad store.Unreadable
	for o, err := range docs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			o = c.domains[u.ID]
		} else if err != nil {
			return err
		}
		fresh.setDomain(o)
	}
	for o, err := range certs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			if known := c.certs[u.ID]; known != nil {
				fresh.setCertificate(known.Object, known)
			}
			continue
		}
		if err != nil {
			return err
		}
		fresh.setCertificate(o, c.certs[o.ID])
	}
	c.mu.Lock()
	c.domains, c.names, c.certs, c.own = fresh.domains, fresh.names, fresh.certs, fresh.own
	c.mu.Unlock()
	c.checkKeys()
	c.tell()
	return bad.Err()
}

// Apply implements store.Projection.
func (c *Certificates) Apply(tx store.Tx, changes []store.Change) error {
	docs, certs := domainCollection(), certificateCollection()
	var bad store.Unreadable
	told := false
	for _, change := range changes {
		var apply func()
		switch change.Kind {
		case docs.Kind:
			o, err := docs.Get(tx, change.ID)
			if bad.Skip(err) != nil {
				continue
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			apply = func() { c.dropDomain(change.ID); c.setDomain(o) }
		case certs.Kind:
			o, err := certs.Get(tx, change.ID)
			if bad.Skip(err) != nil {
				continue
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			apply = func() { known := c.dropCertificate(change.ID); c.setCertificate(o, known) }
		default:
			continue
		}
		c.mu.Lock()
		apply()
		c.mu.Unlock()
		told = true
	}
	if told {
		c.tell()
	}
	return bad.Err()
}

// setDomain notes a domain; nil is none. mu is held, as in all that follow.
func (c *Certificates) setDomain(o *store.Object[domainDoc]) {
	if o != nil {
		c.domains[o.ID], c.names[o.Doc.Domain] = o, o
	}
}

func (c *Certificates) dropDomain(id string) {
	if old := c.domains[id]; old != nil {
		delete(c.domains, id)
		if c.names[old.Doc.Domain] == old {
			delete(c.names, old.Doc.Domain)
		}
	}
}

// setCertificate notes a certificate; nil is none. What is known of it stays open if it is the same one.
func (c *Certificates) setCertificate(o *store.Object[certificateDoc], known *liveCertificate) {
	if o == nil {
		return
	}
	live := &liveCertificate{o, &parsedCertificate{}}
	if known != nil && known.Doc.PEM == o.Doc.PEM && known.Doc.Sealed == o.Doc.Sealed {
		live.parsedCertificate = known.parsedCertificate
	}
	c.certs[o.ID] = live
	if o.Doc.Name != "" {
		c.own[o.Doc.Name] = live
	}
}

func (c *Certificates) dropCertificate(id string) *liveCertificate {
	old := c.certs[id]
	if old != nil {
		delete(c.certs, id)
		if c.own[old.Doc.Name] == old {
			delete(c.own, old.Doc.Name)
		}
	}
	return old
}

// checkKeys tells of keys that the server's keys do not open: those of a backup, beside keys of another time.
func (c *Certificates) checkKeys() {
	shut := 0
	for _, live := range c.certs {
		if _, err := c.sealer.OpenValue(certificatePlace(live.Account, live.ID), live.Doc.Sealed); err != nil {
			shut++
		}
	}
	if shut > 0 {
		c.log.Error("private keys of certificates cannot be opened with the server's keys, and their names are served with another certificate: put back the master key of the time of the backup, or upload them anew",
			"certificates", shut, "of", len(c.certs))
	}
}

// tell says that something has changed, to whoever reads [Certificates.Changed].
func (c *Certificates) tell() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// served returns the domains that have a certificate, or a policy for one.
func (c *Certificates) served() []servedDomain {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []servedDomain
	for _, o := range c.domains {
		if live := c.certs[o.Doc.CertificateID]; live != nil || o.Doc.Policy != nil {
			list = append(list, servedDomain{o, live})
		}
	}
	return list
}

// parse returns the leaf, nil if it does not parse.
func (l *liveCertificate) parse() *x509.Certificate {
	if leaf := l.leaf.Load(); leaf != nil {
		return leaf
	}
	leaf, err := bundle.Leaf(l.Doc.PEM)
	if err != nil {
		return nil
	}
	l.leaf.Store(leaf)
	return leaf
}

// Changed gets a value when what [Certificates.Managed] and [Certificates.IssuedNames] return may have changed. It is
// for one reader.
func (c *Certificates) Changed() <-chan struct{} { return c.changed }

// Run warns in the log of uploaded certificates that expire, until ctx ends.
func (c *Certificates) Run(ctx context.Context) error {
	const often = time.Hour
	hour := time.NewTicker(often)
	defer hour.Stop()
	var told map[string]time.Duration
	for {
		told = c.warn(told)
		select {
		case <-ctx.Done():
			return nil
		case <-hour.C:
		}
	}
}

// warn logs which uploaded certificates of domains expire soon: at 21 and 7 days, and when they have expired
// (endpoints.md 5.3). was is at which of these it was done before, by the certificate, and it returns that anew.
func (c *Certificates) warn(was map[string]time.Duration) (told map[string]time.Duration) {
	const day = 24 * time.Hour
	told = map[string]time.Duration{}
	now := c.now()
	for _, d := range c.served() {
		if d.cert == nil || d.cert.Doc.IssuedAt != nil || d.cert.parse() == nil {
			continue
		}
		expires := d.cert.parse().NotAfter
		for _, at := range [...]time.Duration{0, 7 * day, 21 * day} {
			if expires.Sub(now) > at {
				continue
			}
			if last, ok := was[d.cert.ID]; !ok || at < last {
				c.warnOf(d, expires, now)
			}
			told[d.cert.ID] = at
			break
		}
	}
	return told
}

func (c *Certificates) warnOf(d servedDomain, expires, now time.Time) {
	log := c.log.With("certificate", d.cert.ID, "account", d.Account, "domain", d.Doc.Domain, "expires", expires.UTC())
	if !now.Before(expires) {
		log.Error("an uploaded certificate has expired: upload another one")
		return
	}
	log.Warn("an uploaded certificate expires soon: upload another one", "left", expires.Sub(now).Round(time.Hour).String())
}
