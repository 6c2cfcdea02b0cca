package policy

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// urlText is the part of a request's URL of a name (traffic-policy.md 8.7).
func (x *Exchange) urlText(name string) (string, bool) {
	u := x.Request.URL
	switch name {
	case "":
		return string(x.Endpoint.URL.Scheme) + "://" + x.authority() + uri(u), true
	case "raw":
		return x.OriginalURL, true
	case "scheme":
		return string(x.Endpoint.URL.Scheme), true
	case "host":
		host, _ := hostPort(x.Request.Host)
		return strings.Trim(host, "[]"), true
	case "authority":
		return x.authority(), true
	case "path":
		return NormalPath(rawPath(u)), true
	case "raw_path":
		return rawPath(u), true
	case "query":
		return u.RawQuery, true
	case "uri":
		return uri(u), true
	case "user_password":
		if u.User == nil {
			return "", true
		}
		return u.User.String(), true
	}
	return "", false
}

func rawPath(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

func uri(u *url.URL) string {
	path := NormalPath(rawPath(u))
	if u.RawQuery != "" || u.ForceQuery {
		return path + "?" + u.RawQuery
	}
	return path
}

// hostPort takes a Host apart, in lower case. A port that is none is "".
func hostPort(s string) (host, port string) {
	s = strings.ToLower(s)
	if strings.IndexByte(s, ':') < 0 {
		return s, ""
	}
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return s, ""
}

// port is the port of a request's URL, 0 for that of the scheme. standard says
// that it is written all the same.
func (x *Exchange) port() (n int, standard bool) {
	_, port := hostPort(x.Request.Host)
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0, false
	}
	if n == int(x.Endpoint.URL.Scheme.DefaultPort()) {
		return 0, true
	}
	return n, false
}

// authority is the user and the Host, without the port of the scheme.
func (x *Exchange) authority() string {
	authority := strings.ToLower(x.Request.Host)
	if _, standard := x.port(); standard {
		authority = authority[:strings.LastIndexByte(authority, ':')]
	}
	if user := x.Request.URL.User; user != nil {
		return user.String() + "@" + authority
	}
	return authority
}

// query parses a query string, passing over what is malformed. Ten thousand
// pairs are read at most (reliability-security.md 9.1).
func query(raw string) url.Values {
	if raw == "" {
		return url.Values{}
	}
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

// Seen returns the target of a request in the form in which the program has
// judged it, if it reads it (decision 45): what it takes for one path must not be
// another one to the upstream.
func (p *Program) Seen(target string) string {
	if !p.Reads("req.url") && !p.Reads("req.url.path") && !p.Reads("req.url.uri") {
		return target
	}
	path, query, has := strings.Cut(target, "?")
	if path = NormalPath(path); has {
		return path + "?" + query
	}
	return path
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
