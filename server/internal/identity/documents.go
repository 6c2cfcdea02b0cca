package identity

import (
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/store"
)

// DefaultAccount is the id of the first account of a server. Its administrators run the server.
const DefaultAccount = "ac_default"

// Account owns resources.
type Account struct {
	// Name is for people.
	Name string `json:"name"`
	// Suspended says that nobody may connect or change anything for it.
	Suspended bool `json:"suspended,omitempty"`
	// Limits are those that the server's administrator has set; none means that nothing is limited.
	Limits map[Quota]int64 `json:"limits,omitempty"`
}

// User is a person with a part in an account.
type User struct {
	// Email is the address, unique in the account.
	Email string `json:"email"`
	// Admin says that the user may do everything in the account.
	Admin bool `json:"admin,omitempty"`
	// ReadOnly says that the user's API keys are refused; agents may run.
	ReadOnly bool `json:"read_only,omitempty"`
	// Inactive says that all of the user's credentials are refused.
	Inactive bool `json:"inactive,omitempty"`
}

// ServiceUser is a machine with a part in an account: that of a developer (api.md 3.1).
type ServiceUser struct {
	// Name is unique in the account.
	Name string `json:"name"`
	// Active says whether its credentials are accepted. Nil means true.
	Active *bool `json:"active,omitempty"`
}

// Token is a credential as it is stored: an authtoken, an API key or an SSH key, by the kind of the record. The
// text itself is not there.
type Token struct {
	api.Texts
	// ACL are the rules of what an authtoken may bind; none means everything (api.md 3.3).
	ACL []string `json:"acl,omitempty"`
	// Owner is the id of a user or service user, in the spelling of who made the token.
	Owner string `json:"owner_id"`
	// OwnerEmail and SCIMUser are other ways in which a request may name the owner. They are not stored.
	OwnerEmail string `json:"owner_email,omitempty"`
	SCIMUser   string `json:"scim_user_id,omitempty"`
	// PublicKey is that of an SSH credential, as it was given.
	PublicKey string `json:"public_key,omitempty"`
	// Hash is the keyed hash of the text (see [Hash]), of an SSH credential the fingerprint of its key.
	Hash string `json:"hash"`
	// Prefix is the beginning of a generated text, "" for one that a person chose.
	Prefix string `json:"prefix,omitempty"`
	// Bootstrap is set for what the server's environment sets.
	Bootstrap bool `json:"bootstrap,omitempty"`
}

// Kinds of records.
const (
	kindAccount     = "account"
	kindUser        = "user"
	kindServiceUser = "service_user"
	kindAuthtoken   = "credential"
	kindAPIKey      = "api_key"
	kindSSHKey      = "ssh_credential"
)

// Accounts returns the accounts. Each one owns its own record.
func Accounts() store.Collection[Account] { return store.Collection[Account]{Kind: kindAccount} }

// Users returns the users.
func Users() store.Collection[User] {
	return store.Collection[User]{Kind: kindUser, Keys: func(o *store.Object[User]) []store.Key {
		return []store.Key{EmailKey(o.Account, o.Doc.Email)}
	}}
}

// EmailKey is the key of the user of an account with an address, in any letters.
func EmailKey(account, email string) store.Key {
	return store.Key{Space: "user email", Value: account + "/" + strings.ToLower(email)}
}

// ServiceUsers returns the service users.
func ServiceUsers() store.Collection[ServiceUser] {
	return store.Collection[ServiceUser]{Kind: kindServiceUser, Keys: func(o *store.Object[ServiceUser]) []store.Key {
		return []store.Key{{Space: "service user name", Value: o.Account + "/" + o.Doc.Name}}
	}}
}

// Authtokens returns the authtokens; those of an owner belong to it.
func Authtokens() store.Collection[Token] { return tokens(kindAuthtoken) }

// APIKeys returns the API keys; those of an owner belong to it.
func APIKeys() store.Collection[Token] { return tokens(kindAPIKey) }

// SSHKeys returns the registered SSH keys; those of an owner belong to it.
func SSHKeys() store.Collection[Token] { return tokens(kindSSHKey) }

func tokens(kind string) store.Collection[Token] {
	return store.Collection[Token]{
		Kind:   kind,
		Keys:   func(o *store.Object[Token]) []store.Key { return []store.Key{TokenKey(o.Doc.Hash)} },
		Parent: func(o *store.Object[Token]) string { return PrincipalID(o.Doc.Owner) },
	}
}

// TokenKey is the key of a credential with a hash, of whichever kind.
func TokenKey(hash string) store.Key { return store.Key{Space: "credential", Value: hash} }

// Prefixes of the ids of service users: they have one id in two spellings (api.md 1.4).
const (
	botPrefix     = "bot_"
	servicePrefix = "service_"
)

// PrincipalID returns the id of a user or service user in the spelling in which it is stored.
func PrincipalID(id string) string {
	if suffix, ok := strings.CutPrefix(id, servicePrefix); ok {
		return botPrefix + suffix
	}
	return id
}

// IsServiceUser reports whether an id is that of a service user, in either spelling.
func IsServiceUser(id string) bool { return strings.HasPrefix(PrincipalID(id), botPrefix) }

// RevokedTokens are the hashes of bootstrap credentials that were revoked, as the ids of records: what the
// server's environment still sets is not accepted again.
func RevokedTokens() store.Collection[struct{}] {
	return store.Collection[struct{}]{Kind: "revoked_token"}
}

// Check tells whether the keys are still those that the hashes were made with.
type Check struct {
	Check string `json:"check"`
}

// CheckID is the id of the one record of [Checks].
const CheckID = "credentials"

// Checks holds one record.
func Checks() store.Collection[Check] { return store.Collection[Check]{Kind: "key_check"} }

// SpellServiceUser returns the id of a service user with the prefix bot or service.
func SpellServiceUser(prefix, id string) string {
	return prefix + "_" + strings.TrimPrefix(PrincipalID(id), botPrefix)
}
