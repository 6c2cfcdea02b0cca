package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// ValueSealer seals values one by one, each for its place.
type ValueSealer interface {
	// SealValue puts a value into an envelope that opens only in the same place.
	SealValue(place string, value vault.Secret) string
	// OpenValue returns the value of an envelope.
	OpenValue(place, envelope string) (vault.Secret, error)
}

// NewSecrets returns the rules of vault secrets.
func NewSecrets(s *Shared, sealer ValueSealer) Resource {
	vaults := lookups.Vaults()
	return &secrets{resource[lookups.Secret]{
		Shared: s, spec: api.Secrets(), docs: lookups.Secrets(), noun: "secret",
		check: func(c *change, old, o *store.Object[lookups.Secret]) error {
			if old == nil {
				if err := room(c, identity.QuotaSecrets, fault.SecretsTooMany, lookups.Secrets(), nil); err != nil {
					return err
				}
				o.Doc.CreatedBy = c.caller.Principal
				if err := vaultOfSecret(c, &o.Doc, &vaults); err != nil {
					return err
				}
			}
			o.Doc.LastUpdatedBy = c.caller.Principal
			if !secretName.MatchString(o.Doc.Name) {
				return fault.New(fault.SecretName, o.Doc.Name)
			}
			if o.Doc.Value != "" {
				o.Doc.Sealed, o.Doc.Value = sealer.SealValue(lookups.SecretPlace(o), vault.Secret(o.Doc.Value)), ""
			}
			return nil
		},
		taken: func(o *store.Object[lookups.Secret], _ *store.KeyTakenError) error {
			return fault.New(fault.SecretNameTaken, o.Doc.Name)
		},
		render: func(tx store.Tx, caller *Caller, o *store.Object[lookups.Secret]) (any, error) {
			v, err := vaults.Get(tx, o.Doc.VaultID)
			if err != nil {
				return nil, fmt.Errorf("vault of %s: %w", o.ID, err)
			}
			return &api.Secret{
				Meta: meta(caller, "/vault_secrets", o), UpdatedAt: seconds(o.UpdatedAt), Name: o.Doc.Name, Texts: o.Doc.Texts,
				Vault: *caller.ref("/vaults", v.ID), VaultName: v.Doc.Name,
				CreatedBy: principal(o.Doc.CreatedBy), LastUpdatedBy: principal(o.Doc.LastUpdatedBy),
			}, nil
		},
	}}
}

// secrets are the rules of vault secrets.
type secrets struct{ resource[lookups.Secret] }

// maxSearched is how many endpoints are searched for the name of a secret that goes.
const maxSearched = 1000

// Delete removes a secret, and warns of policies that name it: an expression that asks for it fails from now on, and
// its rule is passed by.
func (s *secrets) Delete(ctx context.Context, caller *Caller, id string) error {
	before, err := s.Get(ctx, caller, id)
	if err := s.resource.Delete(ctx, caller, id); err != nil {
		return err
	}
	if secret, ok := before.(*api.Secret); ok && err == nil && s.Log != nil {
		s.warn(ctx, caller.Account, secret.VaultName, secret.Name)
	}
	return nil
}

// warn tells of the first endpoint whose policy names a secret.
func (s *secrets) warn(ctx context.Context, account, vaultName, name string) {
	n := 0
	_, err := s.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range StoredEndpoints(tx, account) {
			if n++; n > maxSearched {
				return nil
			}
			if err == nil && claims.NamesSecret(e.Policy, vaultName, name) {
				s.Log.WarnContext(ctx, "a secret was deleted that a policy names: expressions that ask for it fail, and their rules are passed by",
					"account", account, "vault", vaultName, "secret", name, "endpoint", e.ID, "url", e.URL.String())
				return nil
			}
		}
		return nil
	})
	if err != nil {
		s.Log.DebugContext(ctx, "policies that name a deleted secret were not looked for", "err", err)
	}
}

// vaultOfSecret finds the vault that a new secret names, by its id or its name.
func vaultOfSecret(c *change, d *lookups.Secret, vaults *store.Collection[lookups.Vault]) error {
	var v *store.Object[lookups.Vault]
	var err error
	unknown := fault.New(fault.SecretVaultUnknown, d.VaultID)
	switch {
	case d.VaultID != "":
		v, err = vaults.Get(c.tx, d.VaultID)
	case d.VaultName != "":
		unknown = fault.New(fault.SecretVaultName, d.VaultName)
		v, err = vaults.Find(c.tx, store.Key{Space: "vault name", Value: c.caller.Account + "/" + d.VaultName})
	default:
		return fault.New(fault.SecretVaultMissing)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && v.Account != c.caller.Account {
		return unknown
	}
	if err != nil {
		return err
	}
	if d.VaultName != "" && d.VaultName != v.Doc.Name {
		return fault.New(fault.FieldInvalid, "vault_name", fmt.Sprintf("the vault %s is called %q", v.ID, v.Doc.Name))
	}
	d.VaultID, d.VaultName = v.ID, ""
	return nil
}
