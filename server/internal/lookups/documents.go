package lookups

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/store"
)

// IPPolicy is an IP policy as it is stored. Its rules are documents of their own.
type IPPolicy struct{ api.Texts }

// IPPolicies returns the stored IP policies.
func IPPolicies() store.Collection[IPPolicy] {
	return store.Collection[IPPolicy]{Kind: "ip_policy"}
}

// HasIPPolicy reports whether an account has an IP policy.
func HasIPPolicy(tx store.Tx, account, id string) (bool, error) {
	docs := IPPolicies()
	o, err := docs.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && o.Account == account, err
}

// IPRule is a rule of an IP policy as it is stored.
type IPRule struct {
	IPPolicyID string `json:"ip_policy_id"`
	CIDR       string `json:"cidr"`
	Action     string `json:"action"`
	api.Texts
}

// Prefix returns the range of a rule that was checked.
func (d *IPRule) Prefix() netip.Prefix {
	p, _ := netip.ParsePrefix(d.CIDR) // checked before it was stored
	return ipset.Canonical(p)
}

// AddTo adds the rule to others.
func (d *IPRule) AddTo(r *ipset.Rules) {
	if d.Action == api.DenyAction {
		r.Deny.Add(d.Prefix())
	} else {
		r.Allow.Add(d.Prefix())
	}
}

// IPRules returns the stored rules of IP policies, each below its policy.
func IPRules() store.Collection[IPRule] {
	return store.Collection[IPRule]{
		Kind: "ip_policy_rule",
		Keys: func(o *store.Object[IPRule]) []store.Key {
			return []store.Key{{Space: "ip policy rule", Value: o.Doc.IPPolicyID + "/" + o.Doc.Prefix().String()}}
		},
		Parent: func(o *store.Object[IPRule]) string { return o.Doc.IPPolicyID },
	}
}

// RulesOf reads the rules of an IP policy.
func RulesOf(tx store.Tx, policy string) (*ipset.Rules, error) { return readRules(tx, policy, nil) }

// readRules reads the rules of an IP policy and tells seen, unless it is nil, of each one's id. With it those that
// cannot be read are left out, and it is told why.
func readRules(tx store.Tx, policy string, seen func(id string, unreadable error)) (*ipset.Rules, error) {
	docs := IPRules()
	r := &ipset.Rules{}
	for o, err := range docs.List(tx, store.Query{Parent: policy}) {
		if bad, ok := errors.AsType[*store.UnreadableError](err); ok && seen != nil {
			seen(bad.ID, bad)
			continue
		}
		if err != nil {
			return nil, err
		}
		o.Doc.AddTo(r)
		if seen != nil {
			seen(o.ID, nil)
		}
	}
	return r, nil
}

// Restriction is an IP restriction as it is stored.
type Restriction struct {
	Type        string   `json:"type"`
	Enforced    bool     `json:"enforced"`
	IPPolicyIDs []string `json:"ip_policy_ids"`
	api.Texts
}

// Uses reports whether the restriction names an IP policy.
func (d *Restriction) Uses(policy string) bool { return slices.Contains(d.IPPolicyIDs, policy) }

// Restrictions returns the stored IP restrictions, of which an account has one of a type.
func Restrictions() store.Collection[Restriction] {
	return store.Collection[Restriction]{
		Kind: "ip_restriction",
		Keys: func(o *store.Object[Restriction]) []store.Key {
			return []store.Key{RestrictionKey(o.Account, o.Doc.Type)}
		},
	}
}

// RestrictionKey names the one restriction of a type that an account has.
func RestrictionKey(account, kind string) store.Key {
	return store.Key{Space: "ip restriction", Value: account + "/" + kind}
}

// Vault is a vault as it is stored.
type Vault struct {
	Name string `json:"name"`
	api.Texts
	CreatedBy     string `json:"created_by"`
	LastUpdatedBy string `json:"last_updated_by"`
}

// Vaults returns the stored vaults, whose names are an account's own.
func Vaults() store.Collection[Vault] {
	return store.Collection[Vault]{
		Kind: "vault",
		Keys: func(o *store.Object[Vault]) []store.Key {
			return []store.Key{{Space: "vault name", Value: o.Account + "/" + o.Doc.Name}}
		},
	}
}

// Secret is a secret as it is stored. Value is what a request brings; it is sealed before it is stored.
type Secret struct {
	Name      string `json:"name"`
	Value     string `json:"value,omitempty"`
	Sealed    string `json:"sealed"`
	VaultID   string `json:"vault_id"`
	VaultName string `json:"vault_name,omitempty"`
	api.Texts
	CreatedBy     string `json:"created_by"`
	LastUpdatedBy string `json:"last_updated_by"`
}

// Secrets returns the stored vault secrets, each below its vault.
func Secrets() store.Collection[Secret] {
	return store.Collection[Secret]{
		Kind: "vault_secret",
		Keys: func(o *store.Object[Secret]) []store.Key {
			return []store.Key{{Space: "secret name", Value: o.Doc.VaultID + "/" + o.Doc.Name}}
		},
		Parent: func(o *store.Object[Secret]) string { return o.Doc.VaultID },
	}
}

// SecretPlace is where the envelope of a secret opens.
func SecretPlace(o *store.Object[Secret]) string {
	return fmt.Sprintf("%s/vault_secret/%s", o.Account, o.ID)
}
