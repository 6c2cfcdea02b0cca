package fault

// Faults that the edge reports to a public client (endpoints.md 15.2).
const (
	// EndpointOffline means that no online endpoint matches the URL. Argument: the URL or host asked for.
	EndpointOffline Code = "ERR_NGROK_3200"
	// TunnelNotFound is the older form of EndpointOffline. Argument: the tunnel.
	TunnelNotFound Code = "ERR_NGROK_3209"
	// AccountBarred means that whoever owns the endpoint is suspended. Argument: the endpoint's URL.
	AccountBarred Code = "ERR_NGROK_3208"
	// NoMember means that an endpoint is known but no member of it can serve now. Argument: the URL.
	NoMember Code = "ERR_NGROK_724"
	// UpstreamUnreachable means that the agent could not connect to its upstream. Arguments: the upstream's address, the error.
	UpstreamUnreachable Code = "ERR_NGROK_8012"
	// UpstreamInvalid means that the upstream's answer was not valid HTTP or was cut short. Argument: what was wrong.
	UpstreamInvalid Code = "ERR_NGROK_3004"
	// GatewayFailure is any other failure between edge and upstream. Argument: what failed.
	GatewayFailure Code = "ERR_NGROK_3007"
	// BackendTimeout means that no backend answered in time. No argument.
	BackendTimeout Code = "ERR_NGROK_3008"
	// AgentUnreachable means that the edge could not open a stream to the agent. Argument: the URL.
	AgentUnreachable Code = "ERR_NGROK_3210"
	// TLSHandshakeFailed is reported in logs only: the client gets a TLS alert. Argument: the error.
	TLSHandshakeFailed Code = "ERR_NGROK_3002"
	// NoSNI is reported in logs only: the client gets a TLS alert. No argument.
	NoSNI Code = "ERR_NGROK_3003"
	// ForwardTooLong means that internal endpoints forward to each other without end. Argument: how many hops there may be.
	ForwardTooLong Code = "ERR_NGROK_3501"
	// Internal hides an unexpected error: its text goes to the log, never to the client. No argument.
	Internal Code = "ERR_NGROK_722"
	// Draining means that the node is draining. No argument.
	Draining Code = "ERR_NGROK_742"
	// Overloaded means that load was shed. Argument: what ran short.
	Overloaded Code = "ERR_NGROK_743"
	// MixedPool means that a race left a mixed pool online. Argument: the URL.
	MixedPool Code = "ERR_NGROK_6030"
)

func edgeEntries() []Entry {
	return []Entry{
		{
			Code: EndpointOffline, Status: 404, Title: "Endpoint is offline",
			Message: "No endpoint is online at %s.",
			Remedy:  "Start an agent for this address, for example with \"culvert http 8080 --url %[1]s\", or check the address for a typing error.",
		},
		{
			Code: TunnelNotFound, Status: 404, Title: "Tunnel not found",
			Message: "The tunnel %s does not exist any more.",
			Remedy:  "Start the agent that serves it again.",
		},
		{
			Code: AccountBarred, Status: 403, Title: "Endpoint is suspended",
			Message: "The endpoint %s does not serve anybody: the account that it belongs to is suspended on this server.",
			Remedy:  "Tell the owner of the endpoint, who has to ask whoever runs the server.",
		},
		{
			Code: NoMember, Status: 503, Title: "Endpoint is not able to serve",
			Message: "The endpoint %s is online, but none of its agents can take a request at the moment.",
			Remedy:  "Try again in a few seconds. If it lasts, look at the agent: it may be overloaded or have lost its connection.",
		},
		{
			Code: UpstreamUnreachable, Status: 502, Title: "The service behind the endpoint cannot be reached",
			Message: "The agent could not connect to the upstream %s: %s.",
			Remedy:  "Start the service on that address, or give the agent the address on which the service listens.",
		},
		{
			Code: UpstreamInvalid, Status: 502, Title: "The service answered with something that is not HTTP",
			Message: "The service behind the endpoint sent an answer that is not valid HTTP, or cut its answer short: %s.",
			Remedy:  "If the service speaks TLS, give the agent an https:// upstream URL. If it does not speak HTTP at all, use a tcp or tls endpoint.",
		},
		{
			Code: GatewayFailure, Status: 502, Title: "The request could not be forwarded",
			Message: "The connection to the service behind the endpoint failed: %s.",
			Remedy:  "Try again. If it happens every time, look at the logs of the agent and of the service.",
		},
		{
			Code: BackendTimeout, Status: 504, Title: "The service did not answer in time",
			Message: "The service behind the endpoint did not answer in time.",
			Remedy:  "Check whether the service is busy or waiting for something else.",
		},
		{
			Code: ForwardTooLong, Status: 508, Title: "Endpoints forward in a circle",
			Message: "The request was forwarded to more than %d internal endpoints, one behind the other.",
			Remedy:  "See that no policy with forward-internal leads back to an endpoint that forwards to it.",
		},
		{
			Code: AgentUnreachable, Status: 502, Title: "The agent cannot be reached",
			Message: "The server could not reach the agent that serves %s.",
			Remedy:  "Try again in a few seconds: the agent reconnects by itself. If it lasts, check the agent's network connection.",
		},
		{
			Code: TLSHandshakeFailed, Status: 0, Title: "TLS handshake failed",
			Message: "The TLS handshake failed: %s.",
			Remedy:  "Check that the client supports TLS 1.2 or 1.3 and, where the endpoint asks for one, presents a client certificate.",
		},
		{
			Code: NoSNI, Status: 0, Title: "The client sent no server name",
			Message: "The client sent no server name (SNI) in its TLS handshake.",
			Remedy:  "Connect by host name instead of by IP address, or set the server name in the client's TLS settings.",
		},
		{
			Code: Internal, Status: 500, Title: "Internal error",
			Message: "Something went wrong inside the server.",
			Remedy:  "Try again. If it happens every time, report it together with the request id and the server's log.",
		},
		{
			Code: Draining, Status: 503, Title: "The server is shutting down",
			Message: "This server is shutting down and takes no new work.",
			Remedy:  "Try again in a moment.",
		},
		{
			Code: Overloaded, Status: 503, Title: "The server is overloaded",
			Message: "This server is overloaded and shed this request: %s.",
			Remedy:  "Try again in a moment.",
		},
		{
			Code: MixedPool, Status: 500, Title: "Several endpoints hold this address",
			Message: "Several endpoints are online at %s, but not all of them allow pooling.",
			Remedy:  "Stop all but one of them, or start every one of them with pooling enabled.",
		},
	}
}
