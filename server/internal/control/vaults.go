package control

import (
	"regexp"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// secretName is what names of vaults and secrets are made of (api.md 2.8).
var secretName = regexp.MustCompile(`^[A-Za-z0-9_/.-]+$`)

// NewVaults returns the rules of vaults.
func NewVaults(s *Shared) Resource {
	secrets := lookups.Secrets()
	return &resource[lookups.Vault]{
		Shared: s, spec: api.Vaults(), docs: lookups.Vaults(), noun: "vault",
		check: func(c *change, old, o *store.Object[lookups.Vault]) error {
			if old == nil {
				if err := room(c, identity.QuotaVaults, fault.VaultsTooMany, lookups.Vaults(), nil); err != nil {
					return err
				}
				o.Doc.CreatedBy = c.caller.Principal
			}
			o.Doc.LastUpdatedBy = c.caller.Principal
			if !secretName.MatchString(o.Doc.Name) {
				return fault.New(fault.VaultName, o.Doc.Name)
			}
			return nil
		},
		remove: func(c *change, o *store.Object[lookups.Vault]) error {
			for _, err := range secrets.List(c.tx, store.Query{Parent: o.ID, Limit: 1}) {
				if err != nil && !unreadable(err) {
					return err
				}
				return fault.New(fault.VaultNotEmpty, o.Doc.Name)
			}
			return nil
		},
		taken: func(o *store.Object[lookups.Vault], _ *store.KeyTakenError) error {
			return fault.New(fault.VaultNameTaken, o.Doc.Name)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[lookups.Vault]) (any, error) {
			return &api.Vault{
				Meta: meta(caller, "/vaults", o), UpdatedAt: seconds(o.UpdatedAt), Name: o.Doc.Name, Texts: o.Doc.Texts,
				CreatedBy: o.Doc.CreatedBy, LastUpdatedBy: o.Doc.LastUpdatedBy,
			}, nil
		},
	}
}
