package fault

// Faults of how the REST API is asked, and of culvert api, which asks it (api.md 6.1, agent.md 3).
const (
	// FilterInvalid means that a list's filter is none. Argument: what is wrong.
	FilterInvalid Code = "ERR_NGROK_250"
	// APIBusy means that too many requests are being answered. Argument: how many may be.
	APIBusy Code = "ERR_NGROK_225"
	// APIRate means that an account has made too many requests within a minute. Argument: how many it may make.
	APIRate Code = "ERR_NGROK_226"
	// APITimeout means that a request was given up. Argument: after how long.
	APITimeout Code = "ERR_NGROK_1501"
	// ResourceRetired means that a resource is not built because there is a newer one. Argument: its path.
	ResourceRetired Code = "ERR_NGROK_7008"
	// APIURLInvalid means that the address of the API is no URL to use. Arguments: the text, what is wrong.
	APIURLInvalid Code = "ERR_CULVERT_1640"
	// APIKeyUnset means that culvert api has no key.
	APIKeyUnset Code = "ERR_CULVERT_1641"
	// APIUnreachable means that the API does not answer. Arguments: its address, the error.
	APIUnreachable Code = "ERR_CULVERT_1642"
	// APIAnswer means that an answer is none of the API. Arguments: the address, what is wrong.
	APIAnswer Code = "ERR_CULVERT_1643"
	// APIElsewhere means that an answer names a URL at another server. Arguments: the URL, the server.
	APIElsewhere Code = "ERR_CULVERT_1644"
	// APIScheme means that a server speaks the other one of HTTP and HTTPS. Arguments: the address, what it speaks, the right URL.
	APIScheme Code = "ERR_CULVERT_1645"
	// APIUntrusted means that the certificate of the API does not verify. Arguments: its address, the error.
	APIUntrusted Code = "ERR_CULVERT_1646"
	// APIKeyUnusable means that a key cannot be sent. No argument: it is not shown.
	APIKeyUnusable Code = "ERR_CULVERT_1647"
)

func restEntries() []Entry {
	return []Entry{
		{Code: FilterInvalid, Status: 400, Title: "Filter not valid", Message: "The filter is not valid: %s.", Remedy: "Correct the filter; it is an expression like obj.name == \"app\" && obj.created_at > timestamp(\"2026-05-01Z\")."},
		{Code: APIBusy, Status: 429, Title: "Too many requests at once", Message: "The API is answering %d requests at this moment, which is as many as it takes.", Remedy: "Send the request again after the time in the Retry-After header."},
		{Code: APIRate, Status: 429, Title: "Too many requests", Message: "The account has sent more than %d requests within 60 seconds.", Remedy: "Send the request again after the time in the Retry-After header."},
		{Code: APITimeout, Status: 503, Title: "The API did not answer in time", Message: "The request was given up after %s.", Remedy: "Send the request again after the time in the Retry-After header; look first whether a change was made."},
		{Code: ResourceRetired, Status: 400, Title: "Retired resource", Message: "%s is one of the older resources, edges and backends, which this server does not have.", Remedy: "Use /endpoints, with a traffic policy for what the modules of edges did."},
		{Code: APIURLInvalid, Title: "Address of the API not valid", Message: "%q is no address of an API: %s.", Remedy: "Give a whole URL such as https://api.example.com with --api-url, CULVERT_API_URL or agent.api_url."},
		{Code: APIKeyUnset, Title: "No API key", Message: "There is no API key.", Remedy: "Set CULVERT_API_KEY, or agent.api_key in the configuration file. culvertd api-key new makes a key."},
		{Code: APIUnreachable, Title: "API not reached", Message: "The API at %s does not answer: %s.", Remedy: "Check that culvertd runs there; --api-url says where it is."},
		{Code: APIAnswer, Title: "Not an answer of the API", Message: "What %s answered is no answer of the API: %s.", Remedy: "Check with --api-url that the address is that of the API."},
		{Code: APIElsewhere, Title: "Next page at another server", Message: "The next page is said to be at %s, which is not at %s. The API key is not sent there.", Remedy: "Give the URL under which the server knows itself with --api-url, or correct the server's own setting of it."},
		{Code: APIScheme, Title: "The other of http and https", Message: "At %s is a server that speaks %s: its URL is %s.", Remedy: "Give this URL with --api-url, CULVERT_API_URL or agent.api_url."},
		{Code: APIUntrusted, Title: "Certificate of the API not trusted", Message: "The API at %s answers, and its certificate is not trusted: %s.", Remedy: "For a server with a CA of its own name its file, ca.pem in the data directory of culvertd, with --api-cas, CULVERT_API_CAS or agent.api_cas. Else check that --api-url has a name that the certificate is for."},
		{Code: APIKeyUnusable, Title: "API key cannot be sent", Message: "The API key has spaces, line breaks or other characters that no key has.", Remedy: "Set CULVERT_API_KEY, or agent.api_key in the configuration file, to the key alone, on one line."},
	}
}
