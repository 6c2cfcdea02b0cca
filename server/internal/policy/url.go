package policy

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// facets are the parts of a request's URL (traffic-policy.md 8.7).
type facets struct {
	whole, scheme, host, authority, path, rawPath, query, uri, user string
	port                                                            int
}

func facetsOf(r *http.Request, s endpoint.Scheme) *facets {
	f := &facets{scheme: string(s), rawPath: r.URL.EscapedPath(), query: r.URL.RawQuery}
	if f.rawPath == "" {
		f.rawPath = "/"
	}
	f.path = NormalPath(f.rawPath)
	authority := strings.ToLower(r.Host)
	f.host = authority
	if host, port, err := net.SplitHostPort(authority); err == nil {
		f.host = host
		if p, err := strconv.Atoi(port); err == nil {
			f.port = p
		}
		if f.port == int(s.DefaultPort()) {
			f.port, authority = 0, strings.TrimSuffix(authority, ":"+port)
		}
	}
	f.host = strings.Trim(f.host, "[]")
	if r.URL.User != nil {
		f.user = r.URL.User.String()
		authority = f.user + "@" + authority
	}
	f.authority = authority
	f.uri = f.path
	if f.query != "" || r.URL.ForceQuery {
		f.uri += "?" + f.query
	}
	f.whole = f.scheme + "://" + authority + f.uri
	return f
}

// query parses a query string, passing over what is malformed. Ten thousand
// pairs are read at most (reliability-security.md 9.1).
func query(raw string) url.Values {
	const most = 10_000
	if strings.Count(raw, "&") > most {
		return url.Values{}
	}
	q, _ := url.ParseQuery(raw) // what parses is kept
	if q == nil {
		q = url.Values{}
	}
	return q
}

// NormalPath returns the form of a path that policies see: unreserved
// characters unescaped, other escapes in upper case, dot segments removed (RFC
// 3986 6.2.2, decision 45). Slashes stay as they are, also escaped ones.
func NormalPath(raw string) string {
	if raw == "*" {
		return raw
	}
	return removeDots(unescapeUnreserved(raw))
}

func unescapeUnreserved(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		switch {
		case err != nil:
			b.WriteByte(s[i])
			continue
		case unreserved(byte(c)):
			b.WriteByte(byte(c))
		default:
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// removeDots removes "." and ".." segments (RFC 3986 5.2.4), and keeps empty
// ones.
func removeDots(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	segments := strings.Split(p, "/")
	out := segments[:1]
	for i, s := range segments[1:] {
		last := i == len(segments)-2
		switch s {
		case ".":
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	if len(out) == 1 {
		return "/"
	}
	return strings.Join(out, "/")
}

func durationSeconds(s int) time.Duration { return time.Duration(max(s, 0)) * time.Second }
