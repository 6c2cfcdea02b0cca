package control

import (
	"cmp"
	"errors"
	"net/netip"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxIPRules is how many rules an IP policy has at most.
const maxIPRules = 1000

// ipRuleNoun is what the record calls such a rule.
const ipRuleNoun = "ip_policy_rule"

// NewIPPolicyRules returns the rules of the rules of IP policies.
func NewIPPolicyRules(s *Shared) Resource {
	docs := lookups.IPRules()
	return &resource[lookups.IPRule]{
		Shared: s, spec: api.IPPolicyRules(), docs: docs, noun: ipRuleNoun,
		check: func(c *change, old, o *store.Object[lookups.IPRule]) error {
			o.Doc.CIDR = strings.ToLower(strings.TrimSpace(o.Doc.CIDR))
			if err := checkCIDR(o.Doc.CIDR); err != nil {
				return err
			}
			if err := ruleKeepsCaller(c, old, o); err != nil || old != nil {
				return err
			}
			switch ok, err := lookups.HasIPPolicy(c.tx, c.caller.Account, o.Doc.IPPolicyID); {
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
		remove: func(c *change, o *store.Object[lookups.IPRule]) error { return ruleKeepsCaller(c, o, nil) },
		taken: func(o *store.Object[lookups.IPRule], _ *store.KeyTakenError) error {
			return fault.New(fault.IPRuleTaken, o.Doc.CIDR)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[lookups.IPRule]) (any, error) {
			return ipRuleOf(caller, o), nil
		},
	}
}

// ruleKeepsCaller refuses a change of a rule by which a restriction that is enforced would shut who asks for it out of
// the API (see keepsCaller). old is nil for a new rule, o for one that goes.
func ruleKeepsCaller(c *change, old, o *store.Object[lookups.IPRule]) error {
	concerns := func(r *store.Object[lookups.IPRule], action string) bool {
		return r != nil && r.Doc.Action == action && r.Doc.Prefix().Contains(ipset.Client(c.caller.Address))
	}
	if !c.caller.Address.IsValid() || !concerns(old, api.AllowAction) && !concerns(o, api.DenyAction) {
		return nil
	}
	restrictions, docs := lookups.Restrictions(), lookups.IPRules()
	restriction, err := restrictions.Find(c.tx, lookups.RestrictionKey(c.caller.Account, api.RestrictAPI))
	if errors.Is(err, store.ErrNotFound) || unreadable(err) {
		return nil
	}
	changed := cmp.Or(o, old)
	if err != nil || !restriction.Doc.Enforced || !restriction.Doc.Uses(changed.Doc.IPPolicyID) {
		return err
	}
	rules := &ipset.Rules{}
	for _, policy := range restriction.Doc.IPPolicyIDs {
		for r, err := range docs.List(c.tx, store.Query{Parent: policy}) {
			if err != nil && !unreadable(err) {
				return err
			}
			if err == nil && r.ID != changed.ID {
				r.Doc.AddTo(rules)
			}
		}
	}
	if o != nil {
		o.Doc.AddTo(rules)
	}
	if ipset.Admits(c.caller.Address, rules) {
		return nil
	}
	f := fault.New(fault.RestrictionShutsOut, ipset.Client(c.caller.Address))
	f.Remedy = "Allow this address by another rule first, or set enforced to false in the IP restriction of the API."
	return f
}

func ipRuleOf(caller *Caller, o *store.Object[lookups.IPRule]) *api.IPPolicyRule {
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
