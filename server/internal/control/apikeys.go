package control

import (
	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// NewAPIKeys returns the rules of API keys; hashes are made with v.
func NewAPIKeys(s *Shared, v *vault.Vault) Resource {
	t := newTokens(s, v, api.APIKeys(), identity.APIKeys(), keyNoun, identity.NewAPIKey)
	t.check = checkOwner
	t.render = func(_ store.Tx, caller *Caller, o *store.Object[identity.Token]) (any, error) {
		return apiKeyOf(caller, o), nil
	}
	return t
}

func apiKeyOf(caller *Caller, o *store.Object[identity.Token]) *api.APIKey {
	return &api.APIKey{Meta: meta(caller, "/api_keys", o), Texts: o.Doc.Texts, OwnerID: o.Doc.Owner}
}
