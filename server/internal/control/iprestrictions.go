package control

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxRestrictionPolicies is how many IP policies a restriction names at most.
const maxRestrictionPolicies = 100

// restrictionDoc is an IP restriction as it is stored.
type restrictionDoc struct {
	Type        string   `json:"type"`
	Enforced    bool     `json:"enforced"`
	IPPolicyIDs []string `json:"ip_policy_ids"`
	api.Texts
}

func (d *restrictionDoc) uses(policy string) bool { return slices.Contains(d.IPPolicyIDs, policy) }

func restrictionCollection() store.Collection[restrictionDoc] {
	return store.Collection[restrictionDoc]{
		Kind: "ip_restriction",
		Keys: func(o *store.Object[restrictionDoc]) []store.Key {
			return []store.Key{restrictionKey(o.Account, o.Doc.Type)}
		},
	}
}

// restrictionKey names the one restriction of a type that an account has.
func restrictionKey(account, kind string) store.Key {
	return store.Key{Space: "ip restriction", Value: account + "/" + kind}
}

// NewIPRestrictions returns the rules of IP restrictions.
func NewIPRestrictions(s *Shared) Resource {
	return &resource[restrictionDoc]{
		Shared: s, spec: api.IPRestrictions(), docs: restrictionCollection(), noun: "ip_restriction",
		check: func(c *change, _, o *store.Object[restrictionDoc]) error {
			if len(o.Doc.IPPolicyIDs) > maxRestrictionPolicies {
				return fault.New(fault.RestrictionPolicies, maxRestrictionPolicies)
			}
			for _, id := range o.Doc.IPPolicyIDs {
				switch ok, err := ownIPPolicy(c.tx, c.caller.Account, id); {
				case err != nil:
					return err
				case !ok:
					return fault.New(fault.RestrictionPolicyUnknown, id)
				}
			}
			return keepsCaller(c, &o.Doc)
		},
		taken: func(o *store.Object[restrictionDoc], _ *store.KeyTakenError) error {
			return fault.New(fault.RestrictionTaken, o.Doc.Type)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[restrictionDoc]) (any, error) {
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
func keepsCaller(c *change, d *restrictionDoc) error {
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
		r, err := readRules(tx, id, nil)
		if err != nil {
			return nil, err
		}
		all[i] = r
	}
	return all, nil
}

// readRules reads the rules of an IP policy and tells seen, unless it is nil, of each one's id. With it those that
// cannot be read are left out, and it is told why.
func readRules(tx store.Tx, policy string, seen func(id string, unreadable error)) (*ipset.Rules, error) {
	docs := ipRuleCollection()
	r := &ipset.Rules{}
	for o, err := range docs.List(tx, store.Query{Parent: policy}) {
		if bad, ok := errors.AsType[*store.UnreadableError](err); ok && seen != nil {
			seen(bad.ID, bad)
			continue
		}
		if err != nil {
			return nil, err
		}
		addRule(r, o.Doc.Action, o.Doc.prefix())
		if seen != nil {
			seen(o.ID, nil)
		}
	}
	return r, nil
}

func addRule(r *ipset.Rules, action string, p netip.Prefix) {
	if action == api.DenyAction {
		r.Deny.Add(p)
	} else {
		r.Allow.Add(p)
	}
}

// owned reports whether an account has an object of a collection.
func owned[T any](docs *store.Collection[T], tx store.Tx, account, id string) (bool, error) {
	o, err := docs.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && o.Account == account, err
}
