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
	// UsageRange means that usage is asked for from a moment that is not before the other one. Arguments: both.
	UsageRange Code = "ERR_CULVERT_1740"
)

func quotaEntries() []Entry {
	return []Entry{
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
	}
}
