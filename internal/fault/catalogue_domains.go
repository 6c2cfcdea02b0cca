package fault

// Faults of reserved domains (api.md 2.2, 4.1).
const (
	// DomainPlace means that an entry of resolves_to is no place. Arguments: the field, the entry.
	DomainPlace Code = "ERR_NGROK_400"
	// DomainWildcardPart means that an asterisk is a part of a label. Argument: the name.
	DomainWildcardPart Code = "ERR_NGROK_402"
	// DomainWildcardPlace means that an asterisk is not the first label. Argument: the name.
	DomainWildcardPlace Code = "ERR_NGROK_403"
	// DomainCharacters means that a name has a forbidden character. Argument: the name.
	DomainCharacters Code = "ERR_NGROK_406"
	// DomainLabelStart means that a label starts with something else than a letter or digit. Argument: the name.
	DomainLabelStart Code = "ERR_NGROK_407"
	// DomainLabelEnd means that a label ends with something else than a letter or digit. Argument: the name.
	DomainLabelEnd Code = "ERR_NGROK_408"
	// DomainEmptyLabel means that a name has an empty label. Argument: the name.
	DomainEmptyLabel Code = "ERR_NGROK_409"
	// DomainHyphens means that a label has -- where only xn-- may. Argument: the name.
	DomainHyphens Code = "ERR_NGROK_410"
	// DomainTaken means that the account has reserved the name. Argument: the name.
	DomainTaken Code = "ERR_NGROK_413"
	// DomainForeign means that another account has reserved the name, or one above it. Argument: the name.
	DomainForeign Code = "ERR_NGROK_414"
	// DomainBroad means that a name is too broad for one account. Argument: the name.
	DomainBroad Code = "ERR_NGROK_416"
	// DomainShadows means that another account has reserved a name below. Argument: the name.
	DomainShadows Code = "ERR_NGROK_417"
	// DomainDescription means that the description is too long.
	DomainDescription Code = "ERR_NGROK_420"
	// DomainMetadata means that the metadata are too long.
	DomainMetadata Code = "ERR_NGROK_421"
	// DomainUpdateEmpty means that an update names no field.
	DomainUpdateEmpty Code = "ERR_NGROK_422"
	// DomainPunycode means that punycode is wrong. Argument: the name.
	DomainPunycode Code = "ERR_NGROK_429"
	// DomainOnline means that another account has an endpoint on the name, or below. Argument: the name.
	DomainOnline Code = "ERR_NGROK_430"
	// DomainCertificateTwice means that a certificate and a policy for certificates are given.
	DomainCertificateTwice Code = "ERR_NGROK_434"
	// DomainAuthority means that a policy for certificates has an unknown authority. Arguments: the field, what it may be.
	DomainAuthority Code = "ERR_NGROK_435"
	// DomainUnderscore means that a name has an underscore. Argument: the name.
	DomainUnderscore Code = "ERR_NGROK_438"
	// DomainBasePolicy means that a name under a base domain cannot have a policy for certificates. Argument: the name.
	DomainBasePolicy Code = "ERR_NGROK_439"
	// DomainBaseCertificate means that a name under a base domain cannot have a certificate of its own. Argument: the name.
	DomainBaseCertificate Code = "ERR_NGROK_440"
	// DomainInUse means that a cloud endpoint uses a name that is to be given up. Arguments: the name, the endpoint's URL.
	DomainInUse Code = "ERR_NGROK_446"
	// DomainUnqualified means that a name has one label. Argument: the name.
	DomainUnqualified Code = "ERR_NGROK_448"
	// DomainNameTwice means that domain and name are both given.
	DomainNameTwice Code = "ERR_NGROK_449"
	// DomainPlaceTwice means that resolves_to has an entry twice. Argument: the entry.
	DomainPlaceTwice Code = "ERR_NGROK_456"
	// DomainLabelLength means that a label is too long. Argument: the name.
	DomainLabelLength Code = "ERR_NGROK_513"
	// DomainLength means that a name is too long.
	DomainLength Code = "ERR_NGROK_514"
	// DomainKeyType means that a policy for certificates has an unknown type of keys. Arguments: the field, what it may be.
	DomainKeyType Code = "ERR_NGROK_1909"
	// CertificateUnknown means that the account has no such certificate. Argument: the id.
	CertificateUnknown Code = "ERR_NGROK_1965"
	// WildcardNotReserved means that a wildcard lies outside the base domains and is not reserved. Argument: the name.
	WildcardNotReserved Code = "ERR_NGROK_318"
	// NameForeign means that another account has reserved the name of an endpoint, or one above it. Argument: the name.
	NameForeign Code = "ERR_NGROK_320"
	// NameNested means that a name two labels or more under a base domain is not reserved. Arguments: the name, the base domain.
	NameNested Code = "ERR_NGROK_354"
	// NameOfAdministrator means that only the first account may have a name, because all others stand below it. Argument: the name.
	NameOfAdministrator Code = "ERR_CULVERT_1681"
	// DomainInternal means that a name is never reserved, because each account has its own. Argument: the name.
	DomainInternal Code = "ERR_CULVERT_1682"
	// DomainFixed means that an update would change the name. Argument: the name.
	DomainFixed Code = "ERR_CULVERT_1683"
)

func domainEntries() []Entry {
	entries := []Entry{
		{Code: DomainPlace, Status: 400, Title: "Unknown place", Message: "The field %q has an entry that is no place: %q.", Remedy: "Give global, the region of this server, or an address like 192.0.2.7."},
		{Code: DomainTaken, Status: 400, Title: "Already reserved", Message: "You have reserved %s already.", Remedy: "Use that reservation."},
		{Code: DomainForeign, Status: 400, Title: "Reserved by another account", Message: "Another account has reserved %s, or a name above it.", Remedy: "Choose another name."},
		{Code: DomainBroad, Status: 400, Title: "Too broad", Message: "%s covers names of everybody and cannot be reserved.", Remedy: "Reserve a name below it, or *.name.example.com."},
		{Code: DomainShadows, Status: 400, Title: "Covers a name of another account", Message: "Another account has reserved a name that %s would cover.", Remedy: "Choose another name."},
		{Code: DomainDescription, Status: 400, Title: "Description too long", Message: "The description of a domain has at most 255 bytes.", Remedy: "Shorten it."},
		{Code: DomainMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata of a domain have at most 4096 bytes.", Remedy: "Shorten them."},
		{Code: DomainUpdateEmpty, Status: 400, Title: "Nothing to update", Message: "The update names no field of the domain.", Remedy: "Name at least one field that is to change."},
		{Code: DomainOnline, Status: 400, Title: "In use by another account", Message: "Another account has an endpoint online on %s, or below it.", Remedy: "Choose another name, or have that endpoint stopped."},
		{Code: DomainCertificateTwice, Status: 400, Title: "Certificate and policy", Message: "A certificate and a policy for certificates are both given.", Remedy: "Give certificate_id or certificate_management_policy."},
		{Code: DomainAuthority, Status: 400, Title: "Unknown certificate authority", Message: "The field %q is not valid: %s.", Remedy: "Give letsencrypt."},
		{Code: DomainBasePolicy, Status: 400, Title: "The server has the certificate", Message: "%s stands under a base domain, whose certificate the server has; it cannot have a policy for its own.", Remedy: "Leave certificate_management_policy out."},
		{Code: DomainBaseCertificate, Status: 400, Title: "The server has the certificate", Message: "%s stands under a base domain, whose certificate the server has; it cannot have its own.", Remedy: "Leave certificate_id out."},
		{Code: DomainInUse, Status: 400, Title: "In use by an endpoint", Message: "%s is used by the endpoint %s.", Remedy: "Delete that endpoint first."},
		{Code: DomainNameTwice, Status: 400, Title: "Two names", Message: "Both domain and name are given, which are two words for one thing.", Remedy: "Give domain."},
		{Code: DomainPlaceTwice, Status: 400, Title: "Place stands twice", Message: "The entry %q of resolves_to stands there twice.", Remedy: "Give it once."},
		{Code: DomainKeyType, Status: 400, Title: "Unknown type of keys", Message: "The field %q is not valid: %s.", Remedy: "Give ecdsa or rsa."},
		{Code: CertificateUnknown, Status: 404, Title: "Certificate not found", Message: "There is no certificate with the id %q.", Remedy: "List your certificates with culvert api tls-certificates list."},
		{Code: WildcardNotReserved, Status: 403, Title: "The wildcard is not reserved", Message: "The wildcard %s is not under a base domain of this server, and you have not reserved it.", Remedy: "Reserve it first: culvert api reserved-domains create --domain '%[1]s'."},
		{Code: NameForeign, Status: 403, Title: "The name belongs to another account", Message: "Another account has reserved %s, or a name above it.", Remedy: "Use another name."},
		{Code: NameNested, Status: 403, Title: "The name is not reserved", Message: "%s is more than one label under %s, and you have not reserved it.", Remedy: "Reserve it first: culvert api reserved-domains create --domain %[1]s. Names with one label need no reservation."},
		{Code: NameOfAdministrator, Status: 403, Title: "The name is the administrator's", Message: "%s belongs to the account of the server's administrator.", Remedy: "Use a name below it."},
		{Code: DomainInternal, Status: 400, Title: "The name needs no reservation", Message: "%s is a name of your account alone, and cannot be reserved.", Remedy: "Use it as it is."},
		{Code: DomainFixed, Status: 400, Title: "The name cannot be changed", Message: "The domain is called %s, and that cannot be changed.", Remedy: "Reserve the other name, and delete this domain."},
	}
	for _, e := range [...]struct {
		code       Code
		title, why string
	}{
		{DomainWildcardPart, "Wildcard at a wrong place", "its asterisk is not a whole label"},
		{DomainWildcardPlace, "Wildcard at a wrong place", "its asterisk is not the first label"},
		{DomainCharacters, "Forbidden character", "it has other characters than letters, digits, dots and hyphens"},
		{DomainLabelStart, "Label starts wrong", "a label starts with something else than a letter or digit"},
		{DomainLabelEnd, "Label ends wrong", "a label ends with something else than a letter or digit"},
		{DomainEmptyLabel, "Empty label", "it has two dots in a row, or one at its beginning"},
		{DomainHyphens, "Hyphens at a wrong place", "a label has -- as its third and fourth character"},
		{DomainPunycode, "International name not valid", "a label is no valid international name"},
		{DomainUnderscore, "Underscore", "it has an underscore"},
		{DomainUnqualified, "Not a whole name", "it has only one label"},
		{DomainLabelLength, "Label too long", "a label has more than 63 characters"},
		{DomainLength, "Name too long", "it has more than 253 characters"},
	} {
		entries = append(entries, Entry{
			Code: e.code, Status: 400, Title: e.title, Message: "The domain %q is not valid: " + e.why + ".", Remedy: "Correct the name; it looks like app.example.com or *.example.com.",
		})
	}
	return entries
}
