package fault

// Faults of credentials, their owners and what they allow (api.md 2.9-2.11, 3.1-3.3).
const (
	// APIKeyMalformed means that a credential of an API request cannot be one of ours. Arguments: the masked text, what is wrong with it.
	APIKeyMalformed Code = "ERR_NGROK_202"
	// APIKeyUnknown means that a well-formed API key is not one of ours, or no longer. Argument: the masked key.
	APIKeyUnknown Code = "ERR_NGROK_203"
	// AccountSuspended means that the account of a credential is suspended. Argument: the account.
	AccountSuspended Code = "ERR_NGROK_205"
	// AuthtokenAsKey means that an authtoken was given as API key. Argument: the masked token.
	AuthtokenAsKey Code = "ERR_NGROK_206"
	// KeyIDAsKey means that the id of something was given as API key. Argument: the masked id.
	KeyIDAsKey Code = "ERR_NGROK_208"
	// ACLAddress means that an authtoken may not bind a TCP address. Argument: the address.
	ACLAddress Code = "ERR_NGROK_308"
	// ACLName means that an authtoken may not bind a name. Argument: the name.
	ACLName Code = "ERR_NGROK_316"
	// ACLRandomAddress means that an authtoken may not bind a TCP address of the server's choice. No argument.
	ACLRandomAddress Code = "ERR_NGROK_356"
	// ACLInvalid means that a rule of an ACL cannot be read. Arguments: the field, what is wrong.
	ACLInvalid Code = "ERR_NGROK_600"
	// CredentialDescription means that a credential's description is too long.
	CredentialDescription Code = "ERR_NGROK_604"
	// CredentialMetadata means that a credential's metadata is too long.
	CredentialMetadata Code = "ERR_NGROK_605"
	// CredentialEmptyUpdate means that an update of a credential names no field.
	CredentialEmptyUpdate Code = "ERR_NGROK_606"
	// OwnerRefused means that only administrators choose the owner of a credential.
	OwnerRefused Code = "ERR_NGROK_630"
	// OwnerTwice means that the owner of a credential is named in several ways.
	OwnerTwice Code = "ERR_NGROK_631"
	// OwnerUnknown means that there is no such owner in the account. Argument: how it was named.
	OwnerUnknown Code = "ERR_NGROK_634"
	// OwnerReadOnly means that the owner of an API key may only read. Argument: the owner.
	OwnerReadOnly Code = "ERR_NGROK_635"
	// OwnerInactive means that the owner of a credential is inactive. Argument: the owner.
	OwnerInactive Code = "ERR_NGROK_636"
	// ServiceUserNameEmpty means that a service user has no name.
	ServiceUserNameEmpty Code = "ERR_NGROK_4109"
	// ServiceUserNameLong means that the name of a service user is too long.
	ServiceUserNameLong Code = "ERR_NGROK_4110"
	// AdminCredential means that only administrators change or delete the credentials of administrators. Argument: the credential.
	AdminCredential Code = "ERR_NGROK_1220"
	// ServiceUserAdmin means that only administrators change service users.
	ServiceUserAdmin Code = "ERR_NGROK_4111"
	// ServiceUserNameTaken means that another service user has the name. Argument: the name.
	ServiceUserNameTaken Code = "ERR_NGROK_4112"
	// BootstrapKeyInvalid means that the first API key is no usable one. Argument: what is wrong with it.
	BootstrapKeyInvalid Code = "ERR_CULVERT_1620"
	// BootstrapTwice means that the first authtoken and the first API key are the same text. No argument.
	BootstrapTwice Code = "ERR_CULVERT_1621"
	// IdentityUnknown means that there is no such account, user or credential. Arguments: the kind, how it was named.
	IdentityUnknown Code = "ERR_CULVERT_1622"
	// EmailTaken means that the account has a user with an address already. Argument: the address.
	EmailTaken Code = "ERR_CULVERT_1623"
	// IdentityInvalid means that an account or user cannot be made so. Arguments: the field, what is wrong.
	IdentityInvalid Code = "ERR_CULVERT_1624"
	// AccountAmbiguous means that several accounts have the name that was given. Arguments: the name, their ids.
	AccountAmbiguous Code = "ERR_CULVERT_1625"
)

func identityEntries() []Entry {
	const newKey = "Make a key with culvertd api-key new, or with the API."
	return []Entry{
		{Code: APIKeyMalformed, Status: 403, Title: "Not an API key", Message: "The credential %s does not look like an API key: %s.", Remedy: newKey},
		{Code: APIKeyUnknown, Status: 403, Title: "API key not valid", Message: "The API key %s is not known here, or was revoked.", Remedy: newKey},
		{Code: AccountSuspended, Status: 403, Title: "Account suspended", Message: "The account %s is suspended.", Remedy: "Ask whoever runs the server; culvertd account enable ends it."},
		{Code: AuthtokenAsKey, Status: 403, Title: "Authtoken instead of an API key", Message: "The credential %s is an authtoken, which is for agents, and not an API key.", Remedy: newKey},
		{Code: KeyIDAsKey, Status: 403, Title: "Id instead of an API key", Message: "The text %s is an id and not an API key.", Remedy: "Give the key itself, which was shown when it was made, or make another with culvertd api-key new."},
		{Code: ACLAddress, Status: 403, Title: "Address not allowed for this authtoken", Message: "The rules of this authtoken do not allow the address %s.", Remedy: "Use another authtoken, or have bind:%[1]s added to its acl."},
		{Code: ACLName, Status: 403, Title: "Name not allowed for this authtoken", Message: "The rules of this authtoken do not allow the name %s.", Remedy: "Ask for a name that they allow, use another authtoken, or have its acl changed."},
		{Code: ACLRandomAddress, Status: 403, Title: "Random addresses not allowed for this authtoken", Message: "The rules of this authtoken do not allow a TCP address of the server's choice.", Remedy: "Ask for an address that they allow, or use an authtoken without an acl."},
		{Code: ACLInvalid, Status: 400, Title: "ACL rule not valid", Message: "The rule in %q cannot be used: %s.", Remedy: "Rules are *, bind:*, bind:NAME, bind:*.NAME, bind:HOST:PORT, with a scheme before NAME or HOST, or bind:KEY=VALUE."},
		{Code: CredentialDescription, Status: 400, Title: "Description too long", Message: "The description of a credential has at most 255 bytes.", Remedy: "Shorten it."},
		{Code: CredentialMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata of a credential have at most 4096 bytes.", Remedy: "Shorten them."},
		{Code: CredentialEmptyUpdate, Status: 400, Title: "Nothing to change", Message: "The update of the credential names nothing to change.", Remedy: "Give description, metadata or acl."},
		{Code: OwnerRefused, Status: 403, Title: "Only administrators choose owners", Message: "Only an administrator of the account may make credentials for others.", Remedy: "Leave the owner out, or ask an administrator."},
		{Code: OwnerTwice, Status: 400, Title: "Several owners", Message: "The owner of the credential is named in more than one way.", Remedy: "Give owner_id alone."},
		{Code: OwnerUnknown, Status: 400, Title: "Owner not found", Message: "There is no user or service user %q in the account.", Remedy: "Give the id of a service user, or the id or e-mail address of a user."},
		{Code: OwnerReadOnly, Status: 403, Title: "Owner may only read", Message: "The owner of this API key, %s, may run agents and not use the API.", Remedy: "Ask an administrator of the account for the role of a developer."},
		{Code: OwnerInactive, Status: 403, Title: "Owner inactive", Message: "The owner of this credential, %s, is inactive.", Remedy: "Have an administrator of the account activate it, or use another credential."},
		{Code: ServiceUserNameEmpty, Status: 400, Title: "Service user without a name", Message: "The service user has no name.", Remedy: "Give it a name."},
		{Code: ServiceUserNameLong, Status: 400, Title: "Name of service user too long", Message: "The name of a service user has at most 255 bytes.", Remedy: "Choose a shorter name."},
		{Code: AdminCredential, Status: 403, Title: "Only administrators change this credential", Message: "The credential %s belongs to an administrator of the account, and only administrators may change or delete it.", Remedy: "Ask an administrator."},
		{Code: ServiceUserAdmin, Status: 403, Title: "Only administrators change service users", Message: "Only an administrator of the account may make, change or delete service users.", Remedy: "Ask an administrator."},
		{Code: ServiceUserNameTaken, Status: 400, Title: "Name of service user taken", Message: "There is a service user called %q already.", Remedy: "Choose another name, or use that one."},
		{Code: BootstrapKeyInvalid, Title: "The first API key is not usable", Message: "The API key in CULVERT_BOOTSTRAP_API_KEY is not usable: %s.", Remedy: "Set a random text of 20 to 256 letters, digits, - and _, with a _ inside, or leave the variable out and use the key that is shown on first start."},
		{Code: BootstrapTwice, Title: "One text for two credentials", Message: "The first authtoken and the first API key are the same text, or each other's former one.", Remedy: "Set CULVERT_BOOTSTRAP_AUTHTOKEN and CULVERT_BOOTSTRAP_API_KEY to different random texts."},
		{Code: IdentityUnknown, Title: "Not found", Message: "There is no %s %q.", Remedy: "List what there is with the command list; --account names another account than ac_default."},
		{Code: EmailTaken, Title: "E-mail address taken", Message: "The account has a user %q already.", Remedy: "Use another address, or that user: culvertd user list shows it, with the same --account."},
		{Code: IdentityInvalid, Title: "Not valid", Message: "The %s is not valid: %s.", Remedy: "Correct it."},
		{Code: AccountAmbiguous, Title: "Several accounts of that name", Message: "Several accounts are called %q: %s.", Remedy: "Name one by its id."},
	}
}
