package fault

// Faults of the agent's connection to its server (agent.md 10.8, 14).
const (
	// DiagIntercepted means that TLS is intercepted. Arguments: the address, the issuer.
	DiagIntercepted Code = "ERR_NGROK_8003"
	// DiagServerResolve means that the server's name cannot be resolved. Arguments: the name, the error.
	DiagServerResolve Code = "ERR_NGROK_8004"
	// DiagProxyResolve means that the proxy's name cannot be resolved. Arguments: the name, the error.
	DiagProxyResolve Code = "ERR_NGROK_8005"
	// DiagProxyConnect means that the proxy cannot be used. Arguments: the proxy, the error.
	DiagProxyConnect Code = "ERR_NGROK_8006"
	// DiagServerTCP means that the server cannot be reached. Arguments: the address, the error.
	DiagServerTCP Code = "ERR_NGROK_8007"
	// DiagServerTLS means that TLS with the server failed. Arguments: the address, the error.
	DiagServerTLS Code = "ERR_NGROK_8008"
	// DiagServerProtocol means that the far end is not a server for agents. Arguments: the address, the error.
	DiagServerProtocol Code = "ERR_NGROK_8009"
	// DiagIPv6 means that IPv6 was asked for and does not work. Argument: the error.
	DiagIPv6 Code = "ERR_NGROK_8011"
	// DiagLocalhost means that localhost has no address. Argument: the error.
	DiagLocalhost Code = "ERR_CULVERT_1230"
	// DiagUpstream means that a configured upstream cannot be reached. Arguments: the upstream, the endpoint, the error.
	DiagUpstream Code = "ERR_CULVERT_1232"
)

func agentEntries() []Entry {
	return []Entry{
		{
			Code: DiagIntercepted, Status: 0, Title: "TLS is intercepted",
			Message: "The certificate of %s was not issued by the server's own authority but by %s.",
			Remedy:  "A proxy on the way opens TLS connections. Have it leave this address alone, or use \"connect_cas: host\" if you trust it.",
		},
		{
			Code: DiagServerResolve, Status: 0, Title: "The server's name cannot be resolved",
			Message: "The server's name %s cannot be resolved: %s.",
			Remedy:  "Check connect_url for a typing error, and the DNS settings of this machine.",
		},
		{
			Code: DiagProxyResolve, Status: 0, Title: "The proxy's name cannot be resolved",
			Message: "The proxy's name %s cannot be resolved: %s.",
			Remedy:  "Check proxy_url.",
		},
		{
			Code: DiagProxyConnect, Status: 0, Title: "The proxy cannot be reached",
			Message: "The proxy %s cannot be reached: %s.",
			Remedy:  "Check proxy_url, and whether the proxy lets this machine through.",
		},
		{
			Code: DiagServerTCP, Status: 0, Title: "The server cannot be reached",
			Message: "No TCP connection to the server %s can be made: %s.",
			Remedy:  "Check that culvertd is running, that connect_url names its agent address, and that no firewall lies between.",
		},
		{
			Code: DiagServerTLS, Status: 0, Title: "TLS with the server failed",
			Message: "The TLS handshake with the server %s failed: %s.",
			Remedy:  "Check the fingerprint (connect_ca_fingerprint) or CA file (connect_cas); the server prints both at start.",
		},
		{
			Code: DiagServerProtocol, Status: 0, Title: "The server does not speak the agent protocol",
			Message: "The server %s does not speak the agent protocol: %s.",
			Remedy:  "Check that connect_url names the agent address of culvertd (port 9444 unless changed), not its HTTP or HTTPS address.",
		},
		{
			Code: DiagIPv6, Status: 0, Title: "IPv6 does not work",
			Message: "IPv6 does not work here: %s.",
			Remedy:  "Use IPv4, or check the network's IPv6 settings.",
		},
		{
			Code: DiagLocalhost, Status: 0, Title: "localhost cannot be resolved",
			Message: "The name localhost cannot be resolved: %s.",
			Remedy:  "Add \"127.0.0.1 localhost\" to the hosts file.",
		},
		{
			Code: DiagUpstream, Status: 0, Title: "The upstream cannot be reached",
			Message: "The upstream %s of the endpoint %s cannot be reached: %s.",
			Remedy:  "Start the service, or correct the upstream's address.",
		},
	}
}
