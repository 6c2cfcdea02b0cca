package api

import (
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// Vault is a place for secrets (api.md 2.8).
type Vault struct {
	Meta
	UpdatedAt time.Time `json:"updated_at"`
	Name      string    `json:"name"`
	Texts
	CreatedBy     string `json:"created_by"`
	LastUpdatedBy string `json:"last_updated_by"`
}

// Vaults is the table of vaults.
func Vaults() *Resource {
	return &Resource{
		Name: "vault", Path: "/vaults", ListKey: "vaults", Prefix: "vault", Verbs: crud(),
		Actions: []Action{{Name: "secrets", Aliases: []string{"get-secrets-by-vault"}, Method: "GET", Lists: "/vault_secrets", Doc: "list the secrets of a vault"}},
		Fields: append([]Field{
			{Name: "name", Create: Required, Update: Optional, Max: 255, Missing: fault.VaultNameEmpty, TooLong: fault.VaultNameLong, Doc: "unique among your vaults; letters, digits and _ / . -"},
			{Name: "created_by", Doc: "the id of who made it"},
			{Name: "last_updated_by", Doc: "the id of who changed it last"},
			{Name: "updated_at", Type: Time, Doc: "when it was changed last"},
		}, texts("", "")...),
		Filter: []string{"id", "created_at", "description", "metadata", "name"},
		Answer: Vault{},
		Doc:    "A vault holds secrets that policies use without showing them.",
	}
}

// Secret is one secret of a vault, without its value.
type Secret struct {
	Meta
	UpdatedAt time.Time `json:"updated_at"`
	Name      string    `json:"name"`
	Texts
	Vault         Ref    `json:"vault"`
	VaultName     string `json:"vault_name"`
	CreatedBy     Ref    `json:"created_by"`
	LastUpdatedBy Ref    `json:"last_updated_by"`
}

// Secrets is the table of secrets.
func Secrets() *Resource {
	return &Resource{
		Name: "vault secret", Path: "/vault_secrets", ListKey: "secrets", Prefix: "secret", Verbs: crud(),
		Fields: append([]Field{
			{Name: "name", Create: Required, Update: Optional, Max: 255, Missing: fault.SecretNameEmpty, TooLong: fault.SecretNameLong, Doc: "unique in its vault; letters, digits and _ / . -"},
			{Name: "value", Create: Required, Update: Optional, Max: 64 << 10, Missing: fault.SecretValueEmpty, TooLong: fault.SecretValueLong, Secret: true, Doc: "the secret itself; it is never shown again"},
			{Name: "vault_id", Create: Optional, Ref: "vault", Doc: "the id of its vault"},
			{Name: "vault_name", Create: Optional, Doc: "the name of its vault, instead of vault_id"},
			{Name: "vault", Type: RefType, Doc: "its vault"},
			{Name: "created_by", Type: RefType, Doc: "who made it"},
			{Name: "last_updated_by", Type: RefType, Doc: "who changed it last"},
			{Name: "updated_at", Type: Time, Doc: "when it was changed last"},
		}, texts("", "")...),
		Filter: []string{"id", "created_at", "description", "metadata", "name"},
		Answer: Secret{}, Aliases: []string{"secrets"},
		Doc: "A secret is a value that policies read with secrets.get.",
	}
}
