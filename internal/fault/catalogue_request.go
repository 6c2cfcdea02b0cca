package fault

// HTTP requests that the edge refuses before any endpoint sees them.
const (
	// BadRequest means that a request was malformed. Argument: what was wrong.
	BadRequest Code = "ERR_CULVERT_1300"
	// NoHost means that Host is missing, blank, repeated or malformed. No argument.
	NoHost Code = "ERR_CULVERT_1301"
	// MethodRefused means that the method is never forwarded. Argument: the method.
	MethodRefused Code = "ERR_CULVERT_1302"
	// URITooLong means that the request's URI exceeds its limit. No argument.
	URITooLong Code = "ERR_CULVERT_1303"
	// ExpectationFailed means that an Expect header asked for something else than 100-continue. Argument: the value.
	ExpectationFailed Code = "ERR_CULVERT_1304"
	// Misdirected means that Host and the connection's server name belong to different endpoints. Arguments: the connection's name, the host asked for.
	Misdirected Code = "ERR_CULVERT_1305"
	// HeaderTooLarge means that the request's header block exceeds its limit. No argument.
	HeaderTooLarge Code = "ERR_CULVERT_1306"
	// CodingRefused means that Transfer-Encoding is something else than chunked. No argument.
	CodingRefused Code = "ERR_CULVERT_1307"
	// VersionRefused means that the request's HTTP version is unknown. No argument.
	VersionRefused Code = "ERR_CULVERT_1308"
	// RequestTimeout means that the client sent its request head too slowly. No argument.
	RequestTimeout Code = "ERR_CULVERT_1309"
	// UpgradeRefused means that an upgrade cannot be done here. Argument: why.
	UpgradeRefused Code = "ERR_CULVERT_1310"
	// LoopDetected means that a request travels in a circle. Argument: the URL.
	LoopDetected Code = "ERR_CULVERT_1311"
)

func requestEntries() []Entry {
	return []Entry{
		{
			Code: BadRequest, Status: 400, Title: "Bad request",
			Message: "The request is not valid HTTP: %s.",
			Remedy:  "Correct the client. The request was not forwarded.",
		},
		{
			Code: NoHost, Status: 400, Title: "The request names no host",
			Message: "The request has no usable Host header.",
			Remedy:  "Send exactly one Host header with the name of the endpoint.",
		},
		{
			Code: MethodRefused, Status: 405, Title: "Method not allowed",
			Message: "The method %s is not allowed here.",
			Remedy:  "Use another method; CONNECT and TRACE are never forwarded.",
		},
		{
			Code: URITooLong, Status: 414, Title: "Address too long",
			Message: "The address of the request is too long.",
			Remedy:  "Shorten it, or send the data in the body.",
		},
		{
			Code: ExpectationFailed, Status: 417, Title: "Expectation failed",
			Message: "The expectation %q is not supported.",
			Remedy:  "Send \"Expect: 100-continue\" or no Expect header.",
		},
		{
			Code: Misdirected, Status: 421, Title: "Misdirected request",
			Message: "The connection was made for %s, so a request for %s cannot be answered on it.",
			Remedy:  "Open a new connection for this host. Most clients do so by themselves.",
		},
		{
			Code: HeaderTooLarge, Status: 431, Title: "Request headers too large",
			Message: "The headers of the request are too large.",
			Remedy:  "Remove what is not needed; cookies are the usual cause.",
		},
		{
			Code: CodingRefused, Status: 501, Title: "Transfer coding not supported",
			Message: "The transfer coding of the request is not supported.",
			Remedy:  "Use \"Transfer-Encoding: chunked\" or a Content-Length.",
		},
		{
			Code: VersionRefused, Status: 505, Title: "HTTP version not supported",
			Message: "The HTTP version of the request is not supported.",
			Remedy:  "Use HTTP/1.1 or HTTP/2.",
		},
		{
			Code: RequestTimeout, Status: 408, Title: "The request did not arrive in time",
			Message: "The request was not complete in time.",
			Remedy:  "Send the request again over a better connection.",
		},
		{
			Code: UpgradeRefused, Status: 400, Title: "Upgrade not possible",
			Message: "The upgrade that was asked for is not possible on this connection: %s.",
			Remedy:  "Use HTTP/1.1 for WebSocket, or leave the upgrade out.",
		},
		{
			Code: LoopDetected, Status: 508, Title: "Forwarding loop",
			Message: "The request came back to this server through %s too many times.",
			Remedy:  "Point the agent's upstream at the service itself, not at an endpoint of this server.",
		},
	}
}
