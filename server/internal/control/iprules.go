package control

import (
	"cmp"
	"errors"
	"net/netip"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxIPRules is how many rules an IP policy has at most.
const maxIPRules = 1000

// ipRuleNoun is what the record calls such a rule.
const ipRuleNoun = "ip_policy_rule"

// ipRuleDoc is a rule of an IP policy as it is stored.
type ipRuleDoc struct {
	IPPolicyID string `json:"ip_policy_id"`
	CIDR       string `json:"cidr"`
	Action     string `json:"action"`
	api.Texts
}

// prefix returns the range of a rule that was checked.
func (d *ipRuleDoc) prefix() netip.Prefix {
	p, _ := netip.ParsePrefix(d.CIDR) // checked before it was stored
	return ipset.Canonical(p)
}

func ipRuleCollection() store.Collection[ipRuleDoc] {
	return store.Collection[ipRuleDoc]{
		Kind: "ip_policy_rule",
		Keys: func(o *store.Object[ipRuleDoc]) []store.Key {
			return []store.Key{{Space: "ip policy rule", Value: o.Doc.IPPolicyID + "/" + o.Doc.prefix().String()}}
		},
		Parent: func(o *store.Object[ipRuleDoc]) string { return o.Doc.IPPolicyID },
	}
}

// NewIPPolicyRules returns the rules of the rules of IP policies.
func NewIPPolicyRules(s *Shared) Resource {
	docs := ipRuleCollection()
	return &resource[ipRuleDoc]{
		Shared: s, spec: api.IPPolicyRules(), docs: docs, noun: ipRuleNoun,
		check: func(c *change, old, o *store.Object[ipRuleDoc]) error {
			o.Doc.CIDR = strings.ToLower(strings.TrimSpace(o.Doc.CIDR))
			if err := checkCIDR(o.Doc.CIDR); err != nil {
				return err
			}
			if err := ruleKeepsCaller(c, old, o); err != nil || old != nil {
				return err
			}
			switch ok, err := ownIPPolicy(c.tx, c.caller.Account, o.Doc.IPPolicyID); {
			case err != nil:
				return err
			case !ok:
				return fault.New(fault.IPRulePolicy, o.Doc.IPPolicyID)
			}
			n := 0
			for _, err := range docs.List(c.tx, store.Query{Parent: o.Doc.IPPolicyID, Limit: maxIPRules}) {
				if err != nil && !unreadable(err) {
					return err
				}
				n++
			}
			if n >= maxIPRules {
				return fault.New(fault.IPRulesTooMany, maxIPRules)
			}
			return nil
		},
		remove: func(c *change, o *store.Object[ipRuleDoc]) error { return ruleKeepsCaller(c, o, nil) },
		taken: func(o *store.Object[ipRuleDoc], _ *store.KeyTakenError) error {
			return fault.New(fault.IPRuleTaken, o.Doc.CIDR)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[ipRuleDoc]) (any, error) {
			return ipRuleOf(caller, o), nil
		},
	}
}

// ruleKeepsCaller refuses a change of a rule by which a restriction that is enforced would shut who asks for it out of
// the API (see keepsCaller). old is nil for a new rule, o for one that goes.
func ruleKeepsCaller(c *change, old, o *store.Object[ipRuleDoc]) error {
	concerns := func(r *store.Object[ipRuleDoc], action string) bool {
		return r != nil && r.Doc.Action == action && r.Doc.prefix().Contains(ipset.Client(c.caller.Address))
	}
	if !c.caller.Address.IsValid() || !concerns(old, api.AllowAction) && !concerns(o, api.DenyAction) {
		return nil
	}
	restrictions, docs := restrictionCollection(), ipRuleCollection()
	restriction, err := restrictions.Find(c.tx, restrictionKey(c.caller.Account, api.RestrictAPI))
	if errors.Is(err, store.ErrNotFound) || unreadable(err) {
		return nil
	}
	changed := cmp.Or(o, old)
	if err != nil || !restriction.Doc.Enforced || !restriction.Doc.uses(changed.Doc.IPPolicyID) {
		return err
	}
	rules := &ipset.Rules{}
	for _, policy := range restriction.Doc.IPPolicyIDs {
		for r, err := range docs.List(c.tx, store.Query{Parent: policy}) {
			if err != nil && !unreadable(err) {
				return err
			}
			if err == nil && r.ID != changed.ID {
				addRule(rules, r.Doc.Action, r.Doc.prefix())
			}
		}
	}
	if o != nil {
		addRule(rules, o.Doc.Action, o.Doc.prefix())
	}
	if ipset.Admits(c.caller.Address, rules) {
		return nil
	}
	f := fault.New(fault.RestrictionShutsOut, ipset.Client(c.caller.Address))
	f.Remedy = "Allow this address by another rule first, or set enforced to false in the IP restriction of the API."
	return f
}

func ipRuleOf(caller *Caller, o *store.Object[ipRuleDoc]) *api.IPPolicyRule {
	return &api.IPPolicyRule{
		Meta: meta(caller, "/ip_policy_rules", o), Texts: o.Doc.Texts, CIDR: o.Doc.CIDR, Action: o.Doc.Action,
		IPPolicy: *caller.ref("/ip_policies", o.Doc.IPPolicyID),
	}
}

// checkCIDR judges a range, and tells how it should be rather than repairing it (api.md 2.6).
func checkCIDR(text string) error {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return fault.New(fault.IPRuleCIDR, "cidr", text)
		}
		return fault.New(fault.IPRuleMask, text, netip.PrefixFrom(a, a.BitLen()))
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return fault.New(fault.IPRuleCIDR, "cidr", text)
	}
	if p.Masked() != p {
		return fault.New(fault.IPRuleHostBits, text, p.Masked())
	}
	return nil
}
