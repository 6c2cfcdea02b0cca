package control

import (
	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxRestrictionPolicies is how many IP policies a restriction names at most.
const maxRestrictionPolicies = 100

// NewIPRestrictions returns the rules of IP restrictions.
func NewIPRestrictions(s *Shared) Resource {
	return &resource[lookups.Restriction]{
		Shared: s, spec: api.IPRestrictions(), docs: lookups.Restrictions(), noun: "ip_restriction",
		check: func(c *change, _, o *store.Object[lookups.Restriction]) error {
			if len(o.Doc.IPPolicyIDs) > maxRestrictionPolicies {
				return fault.New(fault.RestrictionPolicies, maxRestrictionPolicies)
			}
			for _, id := range o.Doc.IPPolicyIDs {
				switch ok, err := lookups.HasIPPolicy(c.tx, c.caller.Account, id); {
				case err != nil:
					return err
				case !ok:
					return fault.New(fault.RestrictionPolicyUnknown, id)
				}
			}
			return keepsCaller(c, &o.Doc)
		},
		taken: func(o *store.Object[lookups.Restriction], _ *store.KeyTakenError) error {
			return fault.New(fault.RestrictionTaken, o.Doc.Type)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[lookups.Restriction]) (any, error) {
			a := &api.IPRestriction{
				Meta: meta(caller, "/ip_restrictions", o), Texts: o.Doc.Texts, Type: o.Doc.Type, Enforced: o.Doc.Enforced,
				IPPolicies: []api.Ref{},
			}
			for _, id := range o.Doc.IPPolicyIDs {
				a.IPPolicies = append(a.IPPolicies, *caller.ref("/ip_policies", id))
			}
			return a, nil
		},
	}
}

// keepsCaller refuses a restriction that would shut out who asks for it (api.md 2.7). The server's own commands
// have no address and are never shut out.
func keepsCaller(c *change, d *lookups.Restriction) error {
	if d.Type != api.RestrictAPI || !d.Enforced || c.caller.Force || !c.caller.Address.IsValid() {
		return nil
	}
	rules, err := storedRules(c.tx, d.IPPolicyIDs)
	if err != nil {
		return err
	}
	if !ipset.Admits(c.caller.Address, rules...) {
		return fault.New(fault.RestrictionShutsOut, ipset.Client(c.caller.Address))
	}
	return nil
}

// storedRules reads the rules of some IP policies.
func storedRules(tx store.Tx, policies []string) ([]*ipset.Rules, error) {
	all := make([]*ipset.Rules, len(policies))
	for i, id := range policies {
		r, err := lookups.RulesOf(tx, id)
		if err != nil {
			return nil, err
		}
		all[i] = r
	}
	return all, nil
}
