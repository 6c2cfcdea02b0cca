package fault

// HTTP requests that the edge refuses before any endpoint sees them.
const (
	// BadRequest means that a request was malformed. Argument: what was wrong.
	BadRequest Code = "ERR_CULVERT_1300"
	// NoHost means that Host is missing, blank, repeated or malformed. No argument.
	NoHost Code = "ERR_CULVERT_1301"
	// MethodRefused means that the method is never forwarded. Argument: the method.
	MethodRefused Code = "ERR_CULVERT_1302"
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
	}
}
