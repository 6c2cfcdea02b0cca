package control

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/store"
)

// ingressPrefix begins the ids of agent ingresses.
const ingressPrefix = "agin_"

// ingressDoc is an agent ingress as it is stored.
type ingressDoc struct {
	Domain string                 `json:"domain"`
	Policy *api.CertificatePolicy `json:"certificate_management_policy,omitempty"`
	api.Texts
}

// ingressCollection is the collection of agent ingresses. They share their names with the reserved ones: who has one
// has all below it.
func ingressCollection() store.Collection[ingressDoc] {
	return store.Collection[ingressDoc]{
		Kind: "agent_ingress",
		Keys: func(o *store.Object[ingressDoc]) []store.Key { return []store.Key{domainKey(o.Doc.Domain)} },
	}
}

// ingresses are names under which the agents of one account connect.
type ingresses struct {
	resource[ingressDoc]
	domains []string
	places  Places
	issued  *Certificates
}

// NewAgentIngresses returns the rules of agent ingresses of a server with these base domains. What it has got from
// authorities for their names is in issued.
func NewAgentIngresses(s *Shared, places Places, issued *Certificates, domains []string) Resource {
	i := &ingresses{domains: domains, places: places, issued: issued}
	i.resource = resource[ingressDoc]{
		Shared: s, spec: api.AgentIngresses(), docs: ingressCollection(), noun: "agent_ingress", check: i.judge,
		taken: func(o *store.Object[ingressDoc], _ *store.KeyTakenError) error {
			return fault.New(fault.IngressDomainTaken, o.Doc.Domain)
		},
		render: i.show,
	}
	return i
}

// judge judges a new or changed ingress.
func (i *ingresses) judge(c *change, old, o *store.Object[ingressDoc]) error {
	d := &o.Doc
	if p := d.Policy; p != nil {
		p.Authority, p.PrivateKeyType = cmp.Or(p.Authority, "letsencrypt"), cmp.Or(p.PrivateKeyType, "rsa")
	}
	if old != nil {
		return nil
	}
	host, err := i.parse(d.Domain)
	if err != nil {
		return err
	}
	d.Domain = host
	for name := range claims.Above(host) {
		switch r, err := findDomain(c.tx, name); {
		case err != nil:
			return err
		case r.account != "" && (r.account != o.Account || name == host):
			return fault.New(fault.IngressDomainTaken, host)
		}
	}
	if err := i.places.Intend(o.ID, o.Account, host); err != nil {
		return fault.Wrap(err, fault.IngressDomainTaken, host)
	}
	c.undo = append(c.undo, func() { i.places.Withdraw(o.ID) })
	return nil
}

// parse returns the canonical form of a name, if agents may connect to it.
func (i *ingresses) parse(text string) (string, error) {
	bad := func(why string) error { return fault.New(fault.IngressDomain, "domain", why) }
	host, err := endpoint.ParseHost(strings.TrimSpace(text))
	if err != nil {
		return "", fault.Wrap(err, fault.IngressDomain, "domain", within(err))
	}
	touches := func(base string) bool { return endpoint.Under(host, base) || endpoint.Under(base, host) }
	suffix, listed := publicsuffix.PublicSuffix(host)
	switch {
	case strings.HasPrefix(host, "*."):
		return "", bad("it is a wildcard, which nobody can connect to")
	case slices.ContainsFunc(i.domains, touches):
		return "", fault.New(fault.IngressDomainOurs, host)
	case endpoint.Under(host, strings.TrimPrefix(endpoint.InternalSuffix, ".")):
		return "", bad("names in .internal are not public")
	case !strings.Contains(host, "."), suffix == host && listed:
		return "", bad("it is a suffix under which many have names")
	}
	return host, nil
}

// show returns an ingress as callers see it.
func (i *ingresses) show(_ store.Tx, caller *Caller, o *store.Object[ingressDoc]) (any, error) {
	d := &o.Doc
	a := &api.AgentIngress{
		Meta: meta(caller, "/agent_ingresses", o), Texts: d.Texts, Domain: d.Domain, NSTargets: []string{},
		RegionDomains: []string{"connect." + i.domains[0]}, CertificateManagementPolicy: d.Policy,
	}
	if d.Policy != nil {
		a.CertificateManagementStatus = &api.CertificateStatus{}
		if got, ok := i.issued.IssuedName(d.Domain); ok {
			a.CertificateManagementStatus.RenewsAt = got.RenewsAt
		}
	}
	return a, nil
}
