package api

import "github.com/culvert-project/culvert/internal/fault"

// Credential is an authtoken (api.md 2.9).
type Credential struct {
	Meta
	Texts
	// Token is the text itself, in the answer to its creation alone.
	Token *string `json:"token"`
	// ACL are the rules of what agents with it may bind; none means everything. It is never nil.
	ACL     []string `json:"acl"`
	OwnerID string   `json:"owner_id"`
}

// Credentials is the table of authtokens.
func Credentials() *Resource {
	return &Resource{
		Name: "credential", Path: "/credentials", ListKey: "credentials", Prefix: "cr", Verbs: crud(),
		Fields: append([]Field{
			{Name: "acl", Type: Strings, Create: Optional, Update: Optional, Max: 512, Invalid: fault.ACLInvalid, Doc: "what agents with it may bind, such as bind:*.example.com; none means everything"},
			{Name: "token", Doc: "the authtoken itself, shown when it is made and never again"},
		}, ownerFields(texts(fault.CredentialDescription, fault.CredentialMetadata))...),
		Filter:      []string{"id", "created_at", "description", "metadata", "owner_id", "acl"},
		EmptyUpdate: fault.CredentialEmptyUpdate,
		Answer:      Credential{}, Aliases: []string{"authtokens"},
		Doc: "A credential is an authtoken, with which agents connect.",
	}
}

// APIKey is a key of this API (api.md 2.10).
type APIKey struct {
	Meta
	Texts
	// Token is the text itself, in the answer to its creation alone.
	Token   *string `json:"token"`
	OwnerID string  `json:"owner_id"`
}

// APIKeys is the table of API keys.
func APIKeys() *Resource {
	return &Resource{
		Name: "API key", Path: "/api_keys", ListKey: "keys", Prefix: "ak", Verbs: crud(),
		Fields: append([]Field{
			{Name: "token", Doc: "the key itself, shown when it is made and never again"},
		}, ownerFields(texts("", ""))...),
		Filter: []string{"id", "created_at", "description", "metadata", "owner_id"},
		Answer: APIKey{},
		Doc:    "An API key lets its holder use this API.",
	}
}

// ownerFields puts the fields that name an owner before others.
func ownerFields(others []Field) []Field {
	return append([]Field{
		{Name: "owner_id", Create: Optional, Max: 255, Doc: "the user or service user that it belongs to, by id or e-mail address; you, unless told otherwise"},
		{Name: "owner_email", Create: Optional, Max: 255, Doc: "the owner's e-mail address, instead of owner_id"},
		{Name: "scim_user_id", Create: Optional, Max: 255, Doc: "the owner's SCIM id, instead of owner_id"},
	}, others...)
}

// ServiceUser is a machine that has credentials of its own (api.md 2.11).
type ServiceUser struct {
	Meta
	Name   string `json:"name"`
	Active bool   `json:"active"`
}

// ServiceUsers is the table of service users.
func ServiceUsers() *Resource {
	return &Resource{
		Name: "service user", Path: "/service_users", ListKey: "service_users", Prefix: "service", Also: []string{"bot"}, Verbs: crud(),
		Fields: serviceUserFields(), Filter: []string{"id", "created_at"}, Answer: ServiceUser{},
		Doc: "A service user is a machine that has authtokens and API keys of its own.",
	}
}

// BotUsers is the table of service users in their older spelling.
func BotUsers() *Resource {
	return &Resource{
		Name: "bot user", Path: "/bot_users", ListKey: "bot_users", Prefix: "bot", Also: []string{"service"}, Verbs: crud(),
		Fields: serviceUserFields(), Filter: []string{"id", "created_at"}, Answer: ServiceUser{}, SpellingOf: "/service_users",
		Doc: "Bot users are service users by their older name.",
	}
}

func serviceUserFields() []Field {
	return []Field{
		{Name: "name", Create: Required, Update: Optional, Max: 255, Missing: fault.ServiceUserNameEmpty, TooLong: fault.ServiceUserNameLong, Doc: "unique among your service users"},
		{Name: "active", Type: Bool, Create: Optional, Update: Optional, Doc: "whether its credentials are accepted; true unless told otherwise"},
	}
}
