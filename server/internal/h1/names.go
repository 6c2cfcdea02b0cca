package h1

// tokenBytes marks the bytes of a token (RFC 9110 5.6.2).
var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789") {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	return t
}()

// validName reports whether s is a field name within the length limit.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return true
}

// validValue reports whether s can stand in a field line: no control byte
// other than a tab (RFC 9110 5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// canonicalName checks a field name and returns it in the canonical spelling
// of net/http. Names that are spelt so, and common ones however spelt, cost no
// allocation.
func canonicalName(s string) (string, bool) {
	if s == "" || len(s) > maxName {
		return "", false
	}
	upper, canonical := true, true
	for i := range len(s) {
		c := s[i]
		if !tokenBytes[c] {
			return "", false
		}
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			canonical = false
		}
		upper = c == '-'
	}
	if canonical {
		return s, true
	}
	var a [maxName]byte
	b := a[:len(s)]
	upper = true
	for i := range len(s) {
		c := s[i]
		switch {
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !upper && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b[i] = c
		upper = c == '-'
	}
	if name, ok := commonNames[string(b)]; ok {
		return name, true
	}
	return string(b), true
}

// commonNames are fields that servers often send in lower case.
var commonNames = func() map[string]string {
	m := make(map[string]string)
	for _, n := range []string{
		"Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers",
		"Access-Control-Max-Age", "Age", "Allow", "Alt-Svc", "Cache-Control", "Connection",
		"Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Content-Security-Policy", "Content-Type",
		"Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
		"Date", "Etag", "Expires", "Grpc-Message", "Grpc-Status", "Keep-Alive", "Last-Modified", "Link",
		"Location", "Nel", "Origin-Agent-Cluster", "Permissions-Policy", "Pragma", "Proxy-Authenticate",
		"Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "Referrer-Policy", "Report-To",
		"Retry-After", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol",
		"Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security", "Timing-Allow-Origin",
		"Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Via", "Www-Authenticate",
		"X-Accel-Buffering", "X-Cache", "X-Content-Type-Options", "X-Dns-Prefetch-Control",
		"X-Download-Options", "X-Frame-Options", "X-Permitted-Cross-Domain-Policies", "X-Powered-By",
		"X-Request-Id", "X-Runtime", "X-Ua-Compatible", "X-Xss-Protection",
	} {
		m[n] = n
	}
	return m
}()
