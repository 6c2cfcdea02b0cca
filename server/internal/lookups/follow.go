package lookups

import (
	"errors"
	"maps"
	"net/netip"

	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Load implements store.Projection.
func (l *Lookups) Load(tx store.Tx) error {
	d := &lookupsDraft{of: l, accounts: map[string]*accountLookups{}, mine: map[string]bool{}, owners: map[string]string{}}
	for _, read := range [...]func(store.Tx) error{d.loadPolicies, d.loadRules, d.loadRestrictions, d.loadVaults, d.loadSecrets} {
		if err := read(tx); err != nil {
			return err
		}
	}
	l.owners = d.owners
	l.accounts.Store(&d.accounts)
	l.checkKeys()
	return d.bad.Err()
}

// checkKeys tells of secrets that the server's keys do not open: those of a backup, beside keys of another time.
func (l *Lookups) checkKeys() {
	all, shut := 0, 0
	for _, a := range *l.accounts.Load() {
		for _, v := range a.vaults {
			for _, s := range v.secrets {
				all++
				if _, err := s.open(); err != nil {
					shut++
				}
			}
		}
	}
	if shut > 0 {
		l.log.Error("secrets cannot be opened with the server's keys, and policies that use them fail: put back the master key of the time of the backup, or set them anew",
			"secrets", shut, "of", all)
	}
}

// Apply implements store.Projection.
func (l *Lookups) Apply(tx store.Tx, changes []store.Change) error {
	var d *lookupsDraft
	policies, vaults := map[string]string{}, map[string]string{} // accounts by ids of what is to be read again
	for _, c := range changes {
		switch c.Kind {
		case "ip_policy":
			policies[c.ID] = c.Account
		case "vault":
			vaults[c.ID] = c.Account
		case "ip_policy_rule":
			if err := l.ownerOf(c, policies, func() (string, error) {
				return parentOf(tx, IPRules(), c.ID, func(r *IPRule) string { return r.IPPolicyID })
			}); err != nil {
				return err
			}
		case "vault_secret":
			if err := l.ownerOf(c, vaults, func() (string, error) {
				return parentOf(tx, Secrets(), c.ID, func(s *Secret) string { return s.VaultID })
			}); err != nil {
				return err
			}
		case "ip_restriction":
		default:
			continue
		}
		if d == nil {
			d = &lookupsDraft{of: l, accounts: maps.Clone(*l.accounts.Load()), mine: map[string]bool{}, owners: l.owners}
		}
		if c.Kind == "ip_restriction" {
			if err := d.restriction(tx, c); err != nil {
				return err
			}
		}
	}
	if d == nil {
		return nil
	}
	for id, account := range policies {
		if err := d.policy(tx, account, id); err != nil {
			return err
		}
	}
	for id, account := range vaults {
		if err := d.vault(tx, account, id); err != nil {
			return err
		}
	}
	for _, c := range changes { // not before: what has failed comes again
		if c.Deleted {
			delete(l.owners, c.ID)
		}
	}
	maps.DeleteFunc(d.accounts, func(_ string, a *accountLookups) bool { return a.empty() })
	l.accounts.Store(&d.accounts)
	return d.bad.Err()
}

// ownerOf notes that what a changed rule or secret belongs to is to be read again.
func (l *Lookups) ownerOf(c store.Change, into map[string]string, read func() (string, error)) error {
	if owner := l.owners[c.ID]; owner != "" {
		into[owner] = c.Account
	}
	if c.Deleted {
		return nil
	}
	owner, err := read()
	if owner != "" {
		into[owner] = c.Account
	}
	return err
}

// parentOf reads what an object belongs to; "" if it is gone again.
func parentOf[T any](tx store.Tx, docs store.Collection[T], id string, parent func(*T) string) (string, error) {
	o, err := docs.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if bad, ok := errors.AsType[*store.UnreadableError](err); ok { // who reads its owner hears of it again
		return bad.Parent, nil
	}
	if err != nil {
		return "", err
	}
	return parent(&o.Doc), nil
}

// lookupsDraft is a new state of lookups in the making.
type lookupsDraft struct {
	of       *Lookups
	accounts map[string]*accountLookups
	mine     map[string]bool // accounts whose lookups are the draft's own
	owners   map[string]string
	bad      store.Unreadable
}

// account returns the lookups of an account to be changed.
func (d *lookupsDraft) account(id string) *accountLookups {
	if !d.mine[id] {
		d.accounts[id], d.mine[id] = d.accounts[id].clone(), true
	}
	return d.accounts[id]
}

// policy reads an IP policy again.
func (d *lookupsDraft) policy(tx store.Tx, account, id string) error {
	a := d.account(account)
	ok, err := HasIPPolicy(tx, account, id)
	shut := d.bad.Skip(err) != nil
	if err != nil && !shut {
		return err
	}
	if !ok && !shut {
		delete(a.policies, id)
		return nil
	}
	rules, err := readRules(tx, id, func(rule string, err error) {
		d.owners[rule] = id
		shut = d.bad.Skip(err) != nil || shut
	})
	if err != nil {
		return err
	}
	if shut {
		denyAll(rules)
	}
	a.policies[id] = rules
	return nil
}

// restriction reads a restriction again.
func (d *lookupsDraft) restriction(tx store.Tx, c store.Change) error {
	docs := Restrictions()
	o, err := docs.Get(tx, c.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		d.account(c.Account).setRestriction(c.ID, nil)
		return nil
	case d.bad.Skip(err) != nil:
		d.account(c.Account).shut(c.ID)
		return nil
	case err != nil:
		return err
	}
	d.account(c.Account).setRestriction(c.ID, &o.Doc)
	return nil
}

// vault reads a vault and its secrets again.
func (d *lookupsDraft) vault(tx store.Tx, account, id string) error {
	a := d.account(account)
	docs, secrets := Vaults(), Secrets()
	o, err := docs.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || d.bad.Skip(err) != nil {
		a.setVault(id, nil)
		return nil
	}
	if err != nil {
		return err
	}
	v := &vaultLookup{name: o.Doc.Name, secrets: map[string]*secretLookup{}}
	known := a.vaults[id]
	for s, err := range secrets.List(tx, store.Query{Parent: id}) {
		if bad := d.bad.Skip(err); bad != nil {
			d.owners[bad.ID] = id
			continue
		}
		if err != nil {
			return err
		}
		d.owners[s.ID] = id
		var was *secretLookup
		if known != nil {
			was = known.secrets[s.Doc.Name]
		}
		v.secrets[s.Doc.Name] = d.of.lookup(s, was)
	}
	a.setVault(id, v)
	return nil
}

func (d *lookupsDraft) loadPolicies(tx store.Tx) error {
	docs := IPPolicies()
	for o, err := range docs.List(tx, store.Query{}) {
		if bad := d.bad.Skip(err); bad != nil {
			r := &ipset.Rules{}
			denyAll(r)
			d.account(bad.Account).policies[bad.ID] = r
			continue
		}
		if err != nil {
			return err
		}
		d.account(o.Account).policies[o.ID] = &ipset.Rules{}
	}
	return nil
}

func (d *lookupsDraft) loadRules(tx store.Tx) error {
	docs := IPRules()
	for o, err := range docs.List(tx, store.Query{}) {
		if bad := d.bad.Skip(err); bad != nil {
			d.owners[bad.ID] = bad.Parent
			if r := d.account(bad.Account).policies[bad.Parent]; r != nil {
				denyAll(r)
			}
			continue
		}
		if err != nil {
			return err
		}
		d.owners[o.ID] = o.Doc.IPPolicyID
		if r := d.account(o.Account).policies[o.Doc.IPPolicyID]; r != nil {
			o.Doc.AddTo(r)
		}
	}
	return nil
}

func (d *lookupsDraft) loadRestrictions(tx store.Tx) error {
	docs := Restrictions()
	for o, err := range docs.List(tx, store.Query{}) {
		if bad := d.bad.Skip(err); bad != nil {
			d.account(bad.Account).shut(bad.ID)
			continue
		}
		if err != nil {
			return err
		}
		d.account(o.Account).setRestriction(o.ID, &o.Doc)
	}
	return nil
}

func (d *lookupsDraft) loadVaults(tx store.Tx) error {
	docs := Vaults()
	for o, err := range docs.List(tx, store.Query{}) {
		if d.bad.Skip(err) != nil {
			continue
		}
		if err != nil {
			return err
		}
		d.account(o.Account).setVault(o.ID, &vaultLookup{name: o.Doc.Name, secrets: map[string]*secretLookup{}})
	}
	return nil
}

func (d *lookupsDraft) loadSecrets(tx store.Tx) error {
	docs := Secrets()
	for o, err := range docs.List(tx, store.Query{}) {
		if bad := d.bad.Skip(err); bad != nil {
			d.owners[bad.ID] = bad.Parent
			continue
		}
		if err != nil {
			return err
		}
		d.owners[o.ID] = o.Doc.VaultID
		if v := d.account(o.Account).vaults[o.Doc.VaultID]; v != nil {
			v.secrets[o.Doc.Name] = d.of.lookup(o, nil)
		}
	}
	return nil
}

// denyAll has rules, of which some cannot be read, let nobody in.
func denyAll(r *ipset.Rules) {
	r.Deny.Add(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	r.Deny.Add(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
}
