package control

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// domainDoc is a reserved name as it is stored.
type domainDoc struct {
	Domain string `json:"domain"`
	// Name is another word for Domain in requests. It is not stored.
	Name   string `json:"name,omitempty"`
	Region string `json:"region,omitempty"`
	// CertificateID is the certificate that is served, uploaded or had automatically.
	CertificateID string                 `json:"certificate_id,omitempty"`
	Policy        *api.CertificatePolicy `json:"certificate_management_policy,omitempty"`
	ResolvesTo    []api.Place            `json:"resolves_to,omitempty"`
	// AskedAt is when the policy was set, or asked for again. All below it is empty without a policy.
	AskedAt  *time.Time           `json:"asked_at,omitempty"`
	RenewsAt *time.Time           `json:"renews_at,omitempty"`
	Job      *api.ProvisioningJob `json:"provisioning_job,omitempty"`
	api.Texts
}

func domainCollection() store.Collection[domainDoc] {
	return store.Collection[domainDoc]{
		Kind: "reserved_domain",
		Keys: func(o *store.Object[domainDoc]) []store.Key { return []store.Key{domainKey(o.Doc.Domain)} },
		// It finds the domains of a certificate.
		Parent: func(o *store.Object[domainDoc]) string { return o.Doc.CertificateID },
	}
}

func domainKey(name string) store.Key { return store.Key{Space: "domain", Value: name} }

// findDomain returns the reservation of exactly a name, by a domain or an agent ingress; the zero value if there is
// none.
func findDomain(tx store.Tx, name string) (reservation, error) {
	r, err := tx.Find(domainKey(name))
	switch u, ok := errors.AsType[*store.UnreadableError](err); {
	case ok: // its key tells all that is asked for
		return reservation{u.ID, u.Account}, nil
	case errors.Is(err, store.ErrNotFound):
		return reservation{}, nil
	case err != nil:
		return reservation{}, err
	}
	return reservation{r.ID, r.Account}, nil
}

// DomainsConfig is what [NewDomains] needs of the server.
type DomainsConfig struct {
	// Domains are the base domains.
	Domains []string
	// Zone is that of the names to which names outside the base domains point. Default: cname. and the first
	// base domain.
	Zone string
	// Region is where the server is.
	Region string
}

// Places knows who has names and endpoints where, as a [claims.Binder] does.
type Places interface {
	// Intend lets no other account begin an endpoint at or below a name, which may be a wildcard and which an
	// account is about to reserve by an id. It is refused if another one has an endpoint there already, or a name
	// below; then it has done nothing.
	Intend(id, account, name string) error
	// Withdraw ends that for a reservation that is not there.
	Withdraw(id string)
	// StoredBelow returns the URLs of an account's stored endpoints at or below a name.
	StoredBelow(account, name string) []endpoint.URL
}

// localhost is the name below which names are free for all to reserve, as they are under base domains (decisions.md 18).
const localhost = "localhost"

func (c DomainsConfig) withDefaults() DomainsConfig {
	c.Zone = cmp.Or(c.Zone, "cname."+c.Domains[0])
	return c
}

// domains are the reserved names.
type domains struct {
	resource[domainDoc]
	cfg    DomainsConfig
	places Places
}

// NewDomains returns the rules of reserved domains.
func NewDomains(s *Shared, places Places, cfg DomainsConfig) Resource {
	d := &domains{cfg: cfg.withDefaults(), places: places}
	d.resource = resource[domainDoc]{
		Shared: s, spec: api.Domains(), docs: domainCollection(), noun: "domain",
		check: d.judge, remove: d.unused,
		taken: func(o *store.Object[domainDoc], e *store.KeyTakenError) error {
			if e.Account == o.Account {
				return fault.New(fault.DomainTaken, o.Doc.Domain)
			}
			return fault.New(fault.DomainForeign, o.Doc.Domain)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[domainDoc]) (any, error) {
			return d.show(caller, o), nil
		},
	}
	return d
}

// judge judges a new or changed domain.
func (d *domains) judge(c *change, old, o *store.Object[domainDoc]) error {
	doc := &o.Doc
	if err := d.judgeName(c, old, o); err != nil {
		return err
	}
	if err := d.judgeCertificate(c, old, o); err != nil {
		return err
	}
	return d.judgePlaces(doc)
}

func (d *domains) judgeName(c *change, old, o *store.Object[domainDoc]) error {
	doc := &o.Doc
	if old == nil && doc.Domain != "" && doc.Name != "" {
		return fault.New(fault.DomainNameTwice)
	}
	if old != nil && doc.Domain == old.Doc.Domain {
		return nil // it was judged when it was reserved
	}
	host, err := d.parse(cmp.Or(doc.Domain, doc.Name))
	if old != nil {
		if err != nil || host != old.Doc.Domain {
			return fault.New(fault.DomainFixed, old.Doc.Domain)
		}
		doc.Domain = host
		return nil
	}
	if err != nil {
		return err
	}
	doc.Domain, doc.Name = host, ""
	if err := d.room(c, host); err != nil {
		return err
	}
	return d.judgeOthers(c, o.ID, host)
}

// room says whether the account may reserve one more name of its kind.
func (d *domains) room(c *change, host string) error {
	based := func(name string) bool {
		return slices.ContainsFunc(d.cfg.Domains, func(b string) bool { return endpoint.Under(strings.TrimPrefix(name, "*."), b) })
	}
	wild := func(name string) bool { return strings.HasPrefix(name, "*.") }
	q, code, mine := identity.QuotaCustomDomains, fault.CustomDomainsTooMany, func(o *domainDoc) bool { return !based(o.Domain) }
	if based(host) {
		q, code, mine = identity.QuotaBaseDomains, fault.BaseDomainsTooMany, func(o *domainDoc) bool { return based(o.Domain) }
	}
	if err := room(c, q, code, d.docs, mine); err != nil || !wild(host) {
		return err
	}
	return room(c, identity.QuotaWildcardDomains, fault.WildcardDomainsTooMany, d.docs, func(o *domainDoc) bool { return wild(o.Domain) })
}

// parse returns the canonical form of a name, if it may be reserved at all.
func (d *domains) parse(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fault.New(fault.FieldInvalid, "domain", "it is required")
	}
	host, err := endpoint.ParseHost(text)
	if err != nil {
		return "", domainRefusal(fault.From(err), text)
	}
	name := strings.TrimPrefix(host, "*.")
	base := claims.BaseOf(d.cfg.Domains, name)
	switch {
	case base == name:
		return "", fault.New(fault.DomainBroad, host)
	case slices.Contains(claims.KeptNames(d.cfg.Domains), host):
		return "", fault.New(fault.NameKept, host)
	case endpoint.Under(name, strings.TrimPrefix(endpoint.InternalSuffix, ".")):
		return "", fault.New(fault.DomainInternal, host)
	case base != "" || endpoint.Under(name, localhost) && name != localhost: // decisions.md 18
		return host, nil
	case slices.ContainsFunc(d.cfg.Domains, func(b string) bool { return endpoint.Under(b, name) }):
		return "", fault.New(fault.DomainBroad, host) // it would cover a base domain
	}
	// Suffixes that are on no list are names of one label: those of private networks.
	suffix, listed := publicsuffix.PublicSuffix(name)
	switch {
	case suffix == name && (listed || strings.Contains(suffix, ".")):
		return "", fault.New(fault.DomainBroad, host)
	case suffix == name:
		return "", fault.New(fault.DomainUnqualified, host)
	}
	return host, nil
}

// domainRefusal turns what an agent is told about a name into what the API says (endpoints.md 3.4).
func domainRefusal(f *fault.Error, text string) error {
	code, ok := map[fault.Code]fault.Code{
		fault.HostCharacters: fault.DomainCharacters, fault.HostUnderscore: fault.DomainUnderscore, fault.HostEmptyLabel: fault.DomainEmptyLabel,
		fault.HostLabelStart: fault.DomainLabelStart, fault.HostLabelEnd: fault.DomainLabelEnd, fault.HostHyphens: fault.DomainHyphens,
		fault.HostPunycode: fault.DomainPunycode, fault.HostLabelLength: fault.DomainLabelLength, fault.HostLength: fault.DomainLength,
		fault.WildcardPlace: fault.DomainWildcardPlace,
	}[f.Code]
	if !ok {
		return f
	}
	part := func(label string) bool { return strings.Contains(label, "*") && label != "*" }
	if code == fault.DomainWildcardPlace && slices.ContainsFunc(strings.Split(text, "."), part) {
		code = fault.DomainWildcardPart
	}
	return fault.Wrap(f, code, text)
}

// judgeOthers refuses a name that other accounts have a part in.
func (d *domains) judgeOthers(c *change, id, host string) error {
	for name := range claims.Above(host) {
		switch r, err := findDomain(c.tx, name); {
		case err != nil:
			return err
		case r.account != "" && r.account != c.caller.Account:
			return fault.New(fault.DomainForeign, host)
		case r.account != "" && name == host:
			return fault.New(fault.DomainTaken, host)
		}
	}
	if err := d.places.Intend(id, c.caller.Account, host); err != nil {
		return err
	}
	c.undo = append(c.undo, func() { d.places.Withdraw(id) })
	return nil
}

// points are the regions of other installations, which clients may name where there is one region.
var points = [...]string{"global", "us", "us-cal-1", "eu", "ap", "au", "in", "jp", "sa", "united-states", "european-union"}

// judgePlaces judges resolves_to.
func (d *domains) judgePlaces(doc *domainDoc) error {
	if len(doc.ResolvesTo) == 0 {
		doc.ResolvesTo = nil
	}
	for i, p := range doc.ResolvesTo {
		_, addrErr := netip.ParseAddr(p.Value)
		_, portErr := netip.ParseAddrPort(p.Value)
		if addrErr != nil && portErr != nil && p.Value != d.cfg.Region && !slices.Contains(points[:], p.Value) {
			return fault.New(fault.DomainPlace, "resolves_to", p.Value)
		}
		if slices.Contains(doc.ResolvesTo[:i], p) {
			return fault.New(fault.DomainPlaceTwice, p.Value)
		}
	}
	return nil
}

// unused refuses to give up a name that a stored endpoint has (api.md 2.2).
func (d *domains) unused(c *change, o *store.Object[domainDoc]) error {
	for _, u := range d.places.StoredBelow(o.Account, o.Doc.Domain) {
		for name := range claims.Above(u.Host) {
			r, err := findDomain(c.tx, name)
			if err != nil {
				return err
			}
			if r.id == o.ID {
				return fault.New(fault.DomainInUse, o.Doc.Domain, u)
			}
			if r.account == o.Account {
				break // a narrower reservation has it
			}
		}
	}
	c.done = append(c.done, func() { d.places.Withdraw(o.ID) })
	return dropIssued(c, o.ID)
}

// show returns a domain as callers see it.
func (d *domains) show(caller *Caller, o *store.Object[domainDoc]) *api.Domain {
	doc := &o.Doc
	a := &api.Domain{
		Meta: meta(caller, "/reserved_domains", o), Texts: doc.Texts, Domain: doc.Domain, Region: doc.Region,
		CertificateManagementPolicy: doc.Policy, ResolvesTo: doc.ResolvesTo,
	}
	if target, challenge := d.cfg.targets(o); target != "" {
		a.CNAMETarget = &target
		if challenge != "" {
			a.ACMEChallengeCNAMETarget = &challenge
		}
	}
	if doc.CertificateID != "" {
		a.Certificate = caller.ref("/tls_certificates", doc.CertificateID)
	}
	if doc.Policy != nil {
		a.CertificateManagementStatus = &api.CertificateStatus{RenewsAt: doc.RenewsAt, ProvisioningJob: doc.Job}
	}
	return a
}

// targets returns where the CNAME record of a name outside the base domains is to point to, and for a wildcard that
// of _acme-challenge, "" where there is none.
func (c *DomainsConfig) targets(o *store.Object[domainDoc]) (name, challenge string) {
	if claims.BaseOf(c.Domains, o.Doc.Domain) != "" {
		return "", ""
	}
	name = labelOf("name", o.ID) + "." + labelOf("account", o.Account) + "." + c.Zone
	if strings.HasPrefix(o.Doc.Domain, "*.") {
		challenge = labelOf("challenge", o.ID) + "." + labelOf("account", o.Account) + ".acme." + c.Zone
	}
	return name, challenge
}

// labelOf returns a label that stands for an id and never changes.
func labelOf(what, id string) string {
	const bytes = 10
	sum := sha256.Sum256([]byte(what + "|" + id))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:bytes]))
}
