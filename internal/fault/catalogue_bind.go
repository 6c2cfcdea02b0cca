package fault

// Faults of binding an endpoint (endpoints.md 15.3), and what is not built yet.
const (
	// URLTaken means that another endpoint holds the URL. Argument: the URL.
	URLTaken Code = "ERR_NGROK_334"
	// TCPAddressUnknown means that a tcp host or port is not one the server can give. Arguments: the address, an example with the range.
	TCPAddressUnknown Code = "ERR_NGROK_307"
	// NameNotReserved means that a name lies outside the base domains and is not reserved. Arguments: the name, the base domains, an example.
	NameNotReserved Code = "ERR_NGROK_319"
	// ProtoUnknown means that a bind asks for an unknown protocol. Argument: the protocol.
	ProtoUnknown Code = "ERR_NGROK_332"
	// TooManyEndpointsSession means that a session holds too many endpoints. Argument: the limit.
	TooManyEndpointsSession Code = "ERR_NGROK_324"
	// TooManyEndpoints means that an account or the server holds too many endpoints. Argument: the limit.
	TooManyEndpoints Code = "ERR_NGROK_350"
	// NoPortFree means that no port of the TCP range can be had. Arguments: the range, what has it.
	NoPortFree Code = "ERR_NGROK_503"
	// UpstreamProtocol means that ForwardsProto or upstream.protocol is unknown. Argument: the value.
	UpstreamProtocol Code = "ERR_NGROK_15003"
	// BasicAuthUser means that a basic-auth user name is empty. No argument.
	BasicAuthUser Code = "ERR_NGROK_359"
	// BasicAuthPassword means that a basic-auth password is too short or too long. No argument.
	BasicAuthPassword Code = "ERR_NGROK_360"
	// CircuitBreakerThreshold means that the share of errors at which a circuit breaker opens is no share. No argument.
	CircuitBreakerThreshold Code = "ERR_NGROK_361"
	// CIDRDenyAlone means that addresses are denied while none is allowed. No argument.
	CIDRDenyAlone Code = "ERR_NGROK_393"
	// PolicyTwice means that a bind carries a policy in both fields. No argument.
	PolicyTwice Code = "ERR_NGROK_9025"
	// PolicyRefused means that the policy of a bind has mistakes. Argument: their number; the binder appends them.
	PolicyRefused Code = "ERR_NGROK_9026"
	// DescriptionTooLong means that an endpoint's description is too long.
	DescriptionTooLong Code = "ERR_NGROK_18012"
	// PolicyUnreadable means that the agent cannot read the file or URL of a policy. Arguments: which, why.
	PolicyUnreadable Code = "ERR_CULVERT_1233"
	// BindingNotBuilt means that a bind asks for a binding that is not built. Argument: the binding.
	BindingNotBuilt Code = "ERR_CULVERT_1101"
	// LabelsNotSupported answers StartTunnelWithLabel. No argument.
	LabelsNotSupported Code = "ERR_CULVERT_1102"
	// OptionNotBuilt means that a bind carries an option whose effect is not built. Argument: the option's name.
	OptionNotBuilt Code = "ERR_CULVERT_1103"
	// NotBuilt refuses a flag, key or command that is known but not built. Argument: its name.
	NotBuilt Code = "ERR_CULVERT_1104"
	// TCPPortBusy means that a TCP port cannot be opened. Argument: the port.
	TCPPortBusy Code = "ERR_CULVERT_1400"
	// TCPPortFailed means that the server cannot open a TCP port, though nobody else has it. Arguments: the port, why.
	TCPPortFailed Code = "ERR_CULVERT_1409"
	// NameKept means that a name such as connect or api under a base domain was asked for. Argument: the name.
	NameKept Code = "ERR_CULVERT_1401"
	// OptionInvalid means that a bind option has an impossible value. Arguments: the option, what is wrong.
	OptionInvalid Code = "ERR_CULVERT_1402"
	// EndpointUnknown means that a session names an endpoint it does not hold. Argument: the id.
	EndpointUnknown Code = "ERR_CULVERT_1404"
	// EndpointLost ends an endpoint that could not be rebound. Arguments: the URL, why.
	EndpointLost Code = "ERR_CULVERT_1405"
	// BindInvalid means that a bind message cannot be read. Argument: what was wrong.
	BindInvalid Code = "ERR_CULVERT_1406"
	// SchemeMismatch means that Proto and the URL's scheme differ. Arguments: the protocol, the URL.
	SchemeMismatch Code = "ERR_CULVERT_1407"
	// IDTaken means that a bind asks for an id that another endpoint holds. Argument: the id.
	IDTaken Code = "ERR_CULVERT_1408"
)

func bindEntries() []Entry {
	return []Entry{
		{
			Code: URLTaken, Status: 409, Title: "The URL is already online",
			Message: "The endpoint %s is already online.",
			Remedy:  "Either stop the other endpoint first, or enable pooling on both (--pooling-enabled): then they share the traffic.",
		},
		{
			Code: TCPAddressUnknown, Status: 403, Title: "Not an address of this server",
			Message: "%s is not a TCP address of this server; addresses look like %s.",
			Remedy:  "Use the host and a port as shown there. An agent that asks for tcp:// alone gets an address from the server.",
		},
		{
			Code: NameNotReserved, Status: 403, Title: "The name is not one of this server's",
			Message: "The name %s is not under a base domain of this server (%s), and nobody reserved it here.",
			Remedy:  "Reserve it first: culvert api reserved-domains create --domain %[1]s. Or use a name under a base domain, such as %[3]s.",
		},
		{
			Code: ProtoUnknown, Status: 400, Title: "Protocol not known",
			Message: "The protocol %q is not known; http, https, tcp and tls are.",
			Remedy:  "Use one of these.",
		},
		{
			Code: TooManyEndpointsSession, Status: 403, Title: "Too many endpoints in this session",
			Message: "This session holds %d endpoints already, which is the limit.",
			Remedy:  "Stop one of them, or start another agent.",
		},
		{
			Code: TooManyEndpoints, Status: 403, Title: "Too many endpoints",
			Message: "%d endpoints are online already, which is the limit.",
			Remedy:  "Stop one of them. The server's limits are set under \"limits\" in its configuration.",
		},
		{
			Code: NoPortFree, Status: 503, Title: "No TCP port is free",
			Message: "No TCP port is free in the server's range %s: %s.",
			Remedy:  "Stop an endpoint that is not needed, or have the administrator widen the range (--tcp-ports).",
		},
		{
			Code: UpstreamProtocol, Status: 400, Title: "Upstream protocol not known",
			Message: "The upstream protocol %q is not known; http1 and http2 are.",
			Remedy:  "Use one of these.",
		},
		{
			Code: PolicyTwice, Status: 400, Title: "Two traffic policies",
			Message: "Both policy fields are set.",
			Remedy:  "Give the traffic policy once.",
		},
		{
			Code: DescriptionTooLong, Status: 400, Title: "Description too long",
			Message: "The description is too long: it may have 255 bytes.",
			Remedy:  "Shorten the description.",
		},
		{
			Code: PolicyRefused, Status: 400, Title: "The traffic policy is not valid",
			Message: "The traffic policy is not valid (mistakes: %d).",
			Remedy:  "Correct the policy at these places.",
		},
		{
			Code: PolicyUnreadable, Status: 400, Title: "The traffic policy cannot be read",
			Message: "The traffic policy %s cannot be read: %s.",
			Remedy:  "Correct the path or URL. A policy is at most 256 KiB; a URL is fetched once, over https, or over http from this machine.",
		},
		{
			Code: BindingNotBuilt, Status: 400, Title: "The binding is not built yet",
			Message: "This server does not support the binding %s yet.",
			Remedy:  "Use a public endpoint.",
		},
		{
			Code: LabelsNotSupported, Status: 501, Title: "Labelled tunnels are not supported",
			Message: "This server does not support labelled tunnels.",
			Remedy:  "Use an endpoint with a URL; what edges did with labels, internal endpoints (https://name.internal) and forwarding do today.",
		},
		{
			Code: OptionNotBuilt, Status: 501, Title: "The option is not built yet",
			Message: "This server does not support the option %s yet, so it refuses the endpoint instead of serving it without.",
			Remedy:  "Start the endpoint without this option.",
		},
		{
			Code: NotBuilt, Status: 501, Title: "Not built yet",
			Message: "%s is not built yet.",
			Remedy:  "See the documentation for what is.",
		},
		{
			Code: TCPPortBusy, Status: 503, Title: "The port is used by another program",
			Message: "The TCP port %d is used by another program on the server's machine.",
			Remedy:  "Use another port, or tcp:// alone to get one from the server.",
		},
		{
			Code: TCPPortFailed, Status: 503, Title: "The server cannot open the port",
			Message: "The server cannot open the TCP port %d: %s.",
			Remedy: "Stop a TCP endpoint that is not needed, or have the administrator remove the cause. For too many open files that is " +
				"a higher limit of descriptors (ulimit -n, LimitNOFILE= of the service), or of \"tcp_listeners\" under \"limits\".",
		},
		{
			Code: NameKept, Status: 400, Title: "The name is kept for the server",
			Message: "The name %s is kept for the server's own use.",
			Remedy:  "Use another name.",
		},
		{
			Code: OptionInvalid, Status: 400, Title: "Option not valid",
			Message: "The option %s is not valid: %s.",
			Remedy:  "Correct the option.",
		},
		{
			Code: EndpointUnknown, Status: 404, Title: "Endpoint not known",
			Message: "The endpoint %s is not known to this session.",
			Remedy:  "Bind it first.",
		},
		{
			Code: EndpointLost, Status: 409, Title: "The endpoint could not come back",
			Message: "The endpoint %s could not be restored after the reconnect: %s.",
			Remedy:  "Start the endpoint again.",
		},
		{
			Code: BindInvalid, Status: 400, Title: "Bind request not understood",
			Message: "The bind request is not valid: %s.",
			Remedy:  "Update the agent, or report this together with the agent's name and version.",
		},
		{
			Code: SchemeMismatch, Status: 400, Title: "Protocol and URL differ",
			Message: "The endpoint's protocol %s does not fit its URL %s.",
			Remedy:  "Use a URL whose scheme is the protocol.",
		},
		{
			Code: BasicAuthUser, Status: 400, Title: "Basic-auth user name missing",
			Message: "A basic-auth credential has no user name.",
			Remedy:  "Write it as user:password.",
		},
		{
			Code: BasicAuthPassword, Status: 400, Title: "Basic-auth password not valid",
			Message: "A basic-auth password must have from 8 to 128 characters.",
			Remedy:  "Choose another password, as in user:password.",
		},
		{
			Code: CircuitBreakerThreshold, Status: 400, Title: "Circuit breaker's threshold not valid",
			Message: "The circuit breaker's share of errors must be from 0 to 1.",
			Remedy:  "Write 0.5 to hold requests back when half of them fail.",
		},
		{
			Code: CIDRDenyAlone, Status: 400, Title: "Addresses are denied and none is allowed",
			Message: "Addresses are denied (--cidr-deny, deny_cidrs) and none is allowed, so nobody could connect.",
			Remedy:  "Say which addresses may connect with --cidr-allow or allow_cidrs, for example 0.0.0.0/0 and ::/0 for all others.",
		},
		{
			Code: IDTaken, Status: 409, Title: "The endpoint's id is taken",
			Message: "The id %s is held by another endpoint of this session.",
			Remedy:  "Let the server choose the id.",
		},
	}
}
