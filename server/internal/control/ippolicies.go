package control

import (
	"errors"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// NewIPPolicies returns the rules of IP policies. With a policy go its rules (api.md 2.6).
func NewIPPolicies(s *Shared) Resource {
	restrictions, rules := lookups.Restrictions(), lookups.IPRules()
	return &resource[lookups.IPPolicy]{
		Shared: s, spec: api.IPPolicies(), docs: lookups.IPPolicies(), noun: "ip_policy",
		check: func(*change, *store.Object[lookups.IPPolicy], *store.Object[lookups.IPPolicy]) error { return nil },
		remove: func(c *change, o *store.Object[lookups.IPPolicy]) error {
			for r, err := range restrictions.List(c.tx, store.Query{Account: o.Account}) {
				if s.skips(err) {
					continue // it may name the policy, which then lets nobody in
				}
				if err != nil {
					return err
				}
				if r.Doc.Uses(o.ID) {
					return fault.New(fault.IPPolicyInUse, o.ID, r.Doc.Type)
				}
			}
			for r, err := range rules.List(c.tx, store.Query{Parent: o.ID}) {
				if u, ok := errors.AsType[*store.UnreadableError](err); ok {
					r = &store.Object[lookups.IPRule]{ID: u.ID, Account: u.Account}
				} else if err != nil {
					return err
				}
				if err := errors.Join(rules.Delete(c.tx, r.ID), audit(c, ipRuleNoun+"_deleted", ipRuleOf(c.caller, r), nil)); err != nil {
					return err
				}
			}
			return nil
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[lookups.IPPolicy]) (any, error) {
			return &api.IPPolicy{Meta: meta(caller, "/ip_policies", o), Texts: o.Doc.Texts}, nil
		},
	}
}
