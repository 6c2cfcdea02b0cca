package fault

// Faults of the limits of accounts (api.md 5, endpoints.md 17).
const (
	// RequestsQuota means that an account has had as many requests in the month as it may. Argument: the limit.
	RequestsQuota Code = "ERR_NGROK_727"
	// ConnectionsQuota means that an account has had as many connections of tcp and tls in the month as it may. Argument: the limit.
	ConnectionsQuota Code = "ERR_NGROK_729"
	// DataOutQuota means that an account has sent as many bytes in the month as it may. Argument: the limit.
	DataOutQuota Code = "ERR_NGROK_725"
	// RequestRateQuota means that an account has had as many requests in a minute as it may. Argument: the limit.
	RequestRateQuota Code = "ERR_NGROK_734"
	// ConnectionRateQuota means that an account has had as many connections in a minute as it may. Argument: the limit.
	ConnectionRateQuota Code = "ERR_NGROK_703"
	// AgentsTooMany means that an account has as many agents connected as it may. Argument: the limit.
	AgentsTooMany Code = "ERR_NGROK_108"
	// PolicyRulesTooMany means that a policy has more rules than its account may have in one. Arguments: how many, the limit.
	PolicyRulesTooMany Code = "ERR_NGROK_2264"
	// UsersTooMany means that an account has as many users as it may. Argument: the limit.
	UsersTooMany Code = "ERR_NGROK_4402"
	// ServiceUsersTooMany means that an account has as many service users as it may. Argument: the limit.
	ServiceUsersTooMany Code = "ERR_NGROK_4119"
	// CustomDomainsTooMany means that an account has reserved as many names outside the base domains as it may. Argument: the limit.
	CustomDomainsTooMany Code = "ERR_NGROK_412"
	// BaseDomainsTooMany means that an account has reserved as many names under the base domains as it may. Argument: the limit.
	BaseDomainsTooMany Code = "ERR_NGROK_415"
	// WildcardDomainsTooMany means that an account has reserved as many wildcards as it may. Argument: the limit.
	WildcardDomainsTooMany Code = "ERR_NGROK_419"
	// AddressesTooMany means that an account has reserved as many TCP addresses as it may. Argument: the limit.
	AddressesTooMany Code = "ERR_NGROK_508"
	// VaultsTooMany means that an account has as many vaults as it may. Argument: the limit.
	VaultsTooMany Code = "ERR_NGROK_23005"
	// SecretsTooMany means that an account has as many secrets as it may. Argument: the limit.
	SecretsTooMany Code = "ERR_NGROK_24007"
	// UsageRange means that usage is asked for from a moment that is not before the other one. Arguments: both.
	UsageRange Code = "ERR_CULVERT_1740"
	// QuotaUnknown means that there is no such limit of accounts. Arguments: its name, those there are.
	QuotaUnknown Code = "ERR_CULVERT_1741"
	// QuotaValue means that the value of a limit cannot be read. Arguments: the limit's name, the value.
	QuotaValue Code = "ERR_CULVERT_1742"
)

func quotaEntries() []Entry {
	entries := []Entry{
		{
			Code: AgentsTooMany, Status: 403, Title: "Too many agents",
			Message: "The account has %d agents connected, which is its limit.",
			Remedy:  "Stop one of them, or let one agent serve several endpoints. The administrator of the server can raise the limit.",
		},
		{
			Code: PolicyRulesTooMany, Status: 400, Title: "Too many rules in the policy",
			Message: "The policy has %d rules, and those of the account may have %d.",
			Remedy:  "Join rules, or have the administrator of the server raise the limit.",
		},
		{
			Code: RequestsQuota, Status: 429, Title: "No more requests this month",
			Message: "The account of this endpoint has had the %s requests that it may have in a month.",
			Remedy:  "Come back next month, or have the administrator of the server raise the limit.",
		},
		{
			Code: ConnectionsQuota, Status: 429, Title: "No more connections this month",
			Message: "The account of this endpoint has had the %s TCP and TLS connections that it may have in a month.",
			Remedy:  "Come back next month, or have the administrator of the server raise the limit.",
		},
		{
			Code: DataOutQuota, Status: 429, Title: "No more data this month",
			Message: "The endpoints of this account have sent the %s bytes that they may send in a month.",
			Remedy:  "Come back next month, or have the administrator of the server raise the limit.",
		},
		{
			Code: RequestRateQuota, Status: 429, Title: "Too many requests",
			Message: "The account of this endpoint may have %s requests a minute, and has had them.",
			Remedy:  "Try again in a minute, or have the administrator of the server raise the limit.",
		},
		{
			Code: ConnectionRateQuota, Status: 429, Title: "Too many connections",
			Message: "The account of this endpoint may have %s connections a minute, and has had them.",
			Remedy:  "Try again in a minute, use one connection for several requests, or have the administrator of the server raise the limit.",
		},
		{
			Code: UsageRange, Status: 400, Title: "No such time",
			Message: "Usage was asked for from %s to %s, which is no time.",
			Remedy:  "Give a from that is before to.",
		},
		{
			Code: QuotaUnknown, Title: "Unknown limit",
			Message: "Accounts have no limit %q. The limits are: %s.",
			Remedy:  "Correct the name.",
		},
		{
			Code: QuotaValue, Title: "Limit not valid",
			Message: "The limit %s cannot be %q.",
			Remedy:  "Give a number, where 0 allows none, with KB, MB, GB or TB behind it for data; or none to lift the limit.",
		},
	}
	for code, what := range map[Code]string{
		UsersTooMany: "users", ServiceUsersTooMany: "service users", CustomDomainsTooMany: "reserved names outside the base domains",
		BaseDomainsTooMany: "reserved names under the base domains", WildcardDomainsTooMany: "reserved wildcards",
		AddressesTooMany: "reserved TCP addresses", VaultsTooMany: "vaults", SecretsTooMany: "secrets",
	} {
		entries = append(entries, Entry{
			Code: code, Status: 400, Title: "Too many " + what, Message: "The account has %d " + what + ", which is its limit.",
			Remedy: "Delete one, or have the administrator of the server raise the limit.",
		})
	}
	return entries
}
