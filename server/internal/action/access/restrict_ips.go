package access

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/policy"
)

type restrictConfig struct {
	Enforce  bool             `field:"enforce" doc:"false decides and never refuses"`
	Allow    []*expr.Template `field:"allow" doc:"addresses and ranges in CIDR notation that may come in"`
	Deny     []*expr.Template `field:"deny" doc:"addresses and ranges that may not, although they are allowed"`
	Policies []string         `field:"ip_policies" doc:"ids of IP policies whose rules count as well"`
}

func restrictDefinition() policy.Definition {
	return policy.Define(policy.Definition{
		Type:    "restrict-ips",
		Doc:     "Lets clients in by their IP address.",
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
		Schemes: []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}, Protects: true,
		Results: []expr.Variable{
			{Name: "restrict_ips.action", Kind: expr.KindText, Doc: "allow or deny"},
			{Name: "restrict_ips.matched_cidr", Kind: expr.KindText, Doc: "the longest range that decided; empty if none did"},
			{Name: "restrict_ips.error.code", Kind: expr.KindText, Doc: "why the client is denied, as a code"},
			{Name: "restrict_ips.error.message", Kind: expr.KindText, Doc: "why the client is denied"},
		},
	}, restrictConfig{Enforce: true}, buildRestrict)
}

// set is a list of ranges, some of which are known only to an exchange.
type set struct {
	fixed   ipset.Set
	dynamic []*expr.Template
}

type restrictIPs struct {
	enforce     bool
	allow, deny set
	policies    []string // ids
}

func buildRestrict(c *restrictConfig, b *policy.Build) policy.Action {
	a := &restrictIPs{enforce: c.Enforce, policies: c.Policies}
	for i, id := range c.Policies {
		b.IPPolicy(fmt.Sprintf("ip_policies[%d]", i), id)
	}
	switch {
	case len(c.Allow)+len(c.Deny)+len(c.Policies) == 0:
		b.Problem("", fault.PolicyElementMissing, "restrict-ips needs allow, deny or ip_policies")
	case len(c.Allow)+len(c.Policies) == 0:
		b.Problem("deny", fault.PolicyElementMissing, "with deny alone nobody comes in; to let all others in, add allow: [0.0.0.0/0, '::/0']")
	}
	a.allow = buildSet("allow", c.Allow, b)
	a.deny = buildSet("deny", c.Deny, b)
	return a
}

func buildSet(field string, list []*expr.Template, b *policy.Build) set {
	var s set
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		text, static := t.Static()
		if !static {
			s.dynamic = append(s.dynamic, t)
			continue
		}
		p, masked, err := parseRange(text)
		if err != nil {
			b.Problem(at, fault.CIDRInvalid, "%s", err)
			continue
		}
		if masked {
			b.Warn(at, fault.CIDRInvalid, "%s has bits behind its prefix; it is read as %s", text, p)
		}
		s.fixed.Add(p)
	}
	return s
}

// Do implements policy.Action. Only the address of the connection counts, never
// a header.
func (a *restrictIPs) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	matched, err := a.decide(x)
	results := map[string]any{"action": "allow", "matched_cidr": "", "error.code": "", "error.message": ""}
	if matched.IsValid() {
		results["matched_cidr"] = matched.String()
	}
	if err == nil {
		x.SetResult("restrict_ips", results)
		return policy.Continue, nil
	}
	f := fault.From(err)
	results["action"], results["error.code"], results["error.message"] = "deny", string(f.Code), f.Message
	x.SetResult("restrict_ips", results)
	if !a.enforce {
		return policy.Continue, nil
	}
	if !fault.Has(f, fault.AddressRefused) { // the client need not know why
		f = fault.Wrap(f, fault.AddressRefused)
	}
	return policy.Refuse, f
}

// decide returns the range that decided and an error unless the client may come
// in. Deny wins.
func (a *restrictIPs) decide(x *policy.Exchange) (netip.Prefix, error) {
	client := ipset.Client(x.Conn.Client.Addr())
	denied, err := a.deny.find(x, client)
	if err != nil {
		return netip.Prefix{}, err
	}
	allowed, err := a.allow.find(x, client)
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, id := range a.policies {
		if rules := x.IPPolicy(id); rules != nil { // a deleted one says nothing
			denied, allowed = longer(denied, &rules.Deny, client), longer(allowed, &rules.Allow, client)
		}
	}
	switch {
	case denied.IsValid():
		return denied, fault.New(fault.AddressRefused)
	case !allowed.IsValid():
		return netip.Prefix{}, fault.New(fault.AddressRefused)
	}
	return allowed, nil
}

// longer returns the longest range of s that holds an address if it is longer than one that is known to, else
// that one.
func longer(known netip.Prefix, s *ipset.Set, a netip.Addr) netip.Prefix {
	if p, ok := s.Find(a); ok && (!known.IsValid() || p.Bits() > known.Bits()) {
		return p
	}
	return known
}

// find returns the longest range of the set that holds the address, none if
// none does. An entry that is no range is a fault, whatever the others say.
func (s *set) find(x *policy.Exchange, a netip.Addr) (netip.Prefix, error) {
	longest, _ := s.fixed.Find(a)
	for _, t := range s.dynamic {
		text, err := x.Text(t)
		if err != nil {
			return longest, err
		}
		p, _, err := parseRange(text)
		if err != nil {
			return longest, fault.Wrap(err, fault.CIDRInvalid, err)
		}
		if p.Contains(a) && (!longest.IsValid() || p.Bits() > longest.Bits()) {
			longest = p
		}
	}
	return longest, nil
}
