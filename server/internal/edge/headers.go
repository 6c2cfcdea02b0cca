package edge

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// Forwarded says what happens to the X-Forwarded fields of requests
// (endpoints.md 7.3). The zero value is ForwardAppend.
type Forwarded string

const (
	// ForwardAppend adds the client's address and scheme behind what the
	// client sent. The last value is the trustworthy one.
	ForwardAppend Forwarded = "append"
	// ForwardReplace drops what the client sent, Forwarded and X-Real-Ip
	// included, and sets the true values.
	ForwardReplace Forwarded = "replace"
	// ForwardOff passes what the client sent and adds nothing.
	ForwardOff Forwarded = "off"
)

// The fields that the edge sets on requests.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
	errorCodeField = "Ngrok-Error-Code"
)

// hopField reports whether a field belongs to one connection and is never
// passed on (RFC 9110 7.6.1, endpoints.md 7.3).
func hopField(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// removeHop removes the hop-by-hop fields of h and those that Connection lists.
func removeHop(h http.Header) {
	for _, list := range h["Connection"] {
		for token := range strings.SplitSeq(list, ",") {
			// The usual one is no field to go by the others.
			if token = textproto.TrimString(token); token != "" && !strings.EqualFold(token, "keep-alive") {
				delete(h, textproto.CanonicalMIMEHeaderKey(token))
			}
		}
	}
	for name := range h {
		if hopField(name) {
			delete(h, name)
		}
	}
}

// hasToken reports whether one of the comma-separated lists contains token.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for t := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// upgradeToken returns the protocol that a request asks to switch to, if it is
// one that is passed on. Others are dropped with the hop-by-hop fields, so that
// no h2c gets past the edge (T06).
func upgradeToken(h http.Header) string {
	if len(h["Upgrade"]) == 0 || !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	if hasToken(h["Upgrade"], "websocket") {
		return "websocket"
	}
	return ""
}

// requestHeader turns the client's fields into those of the upstream request,
// in place. The order matters: what belongs to the hop goes before ours are
// set, so that no Connection field can list ours away (T21).
func (x *exchange) requestHeader() {
	h := x.r.Header
	trailers := hasToken(h["Te"], "trailers")
	removeHop(h)
	delete(h, "Expect")
	if trailers {
		h["Te"] = teTrailers
	}
	mode := x.h.forwarded
	if mode == ForwardOff {
		return
	}
	removeCopies(h, mode)
	x.fields = [3]string{x.cc.remote.Addr().String(), string(x.cc.scheme), x.askedHost()}
	if mode == ForwardReplace {
		h[forwardedFor] = x.fields[0:1:1]
		h[forwardedProto] = x.fields[1:2:2]
		h[forwardedHost] = x.fields[2:3:3]
		return
	}
	appendField(h, forwardedFor, x.fields[0:1:1])
	appendField(h, forwardedProto, x.fields[1:2:2])
	if v := h[forwardedHost]; len(v) == 0 || v[0] == "" {
		h[forwardedHost] = x.fields[2:3:3]
	}
}

var teTrailers = []string{"trailers"}

// appendField adds own[0] behind the values that are there, as one field.
func appendField(h http.Header, name string, own []string) {
	if have := h[name]; len(have) > 0 {
		own[0] = strings.Join(have, ", ") + ", " + own[0]
	}
	h[name] = own
}

// removeCopies removes fields that an application may take for ours: spellings
// with an underscore, which some servers treat as a hyphen (T22), and in
// replace mode whatever else claims to know the client.
func removeCopies(h http.Header, mode Forwarded) {
	for name := range h {
		hyphens := name
		if strings.IndexByte(name, '_') >= 0 {
			hyphens = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		switch {
		case hyphens != name && setByEdge(hyphens):
			delete(h, name)
		case mode == ForwardReplace && (strings.HasPrefix(hyphens, "X-Forwarded-") || hyphens == "Forwarded" || hyphens == "X-Real-Ip"):
			delete(h, name)
		}
	}
}

func setByEdge(name string) bool {
	return name == forwardedFor || name == forwardedProto || name == forwardedHost
}

// headerTooLarge reports whether a request's fields exceed their number or
// size. The size of the whole is net/http's to judge.
func (l *Limits) headerTooLarge(h http.Header) bool {
	n, cookies := 0, 0
	for name, values := range h {
		n += len(values)
		if len(name) > l.Name {
			return true
		}
		for _, v := range values {
			if len(v) > l.Value {
				return true
			}
			if name == "Cookie" {
				cookies += 1 + strings.Count(v, ";")
			}
		}
	}
	return n > l.Fields || cookies > l.Cookies
}

// trailerAllowed reports whether a field may stand in a trailer section:
// nothing that frames, routes, authenticates or describes the body
// (RFC 9110 6.5.1), and nothing that only the edge may say.
func trailerAllowed(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		// Some applications take an underscore for a hyphen (T22).
		name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	switch name {
	case "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
		"Content-Type", "Cookie", "Expect", "Host", "Keep-Alive", "Max-Forwards", "Pragma", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Range", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Www-Authenticate", errorCodeField, forwardedFor, forwardedProto, forwardedHost:
		return false
	}
	return !strings.HasPrefix(name, "If-")
}

// allowedTrailer returns h without what may not stand in a trailer section.
func allowedTrailer(h http.Header) http.Header {
	for name := range h {
		if !trailerAllowed(name) {
			delete(h, name)
		}
	}
	return h
}

// canonicalHost returns the name in a Host field in the form that routing
// uses: lower case, A-labels, no port, no final dot. It reports false for
// anything that is not one host with at most one port (T18).
func canonicalHost(hostport string) (string, bool) {
	host := hostport
	switch i := strings.LastIndexByte(hostport, ':'); {
	case strings.HasPrefix(hostport, "["):
		return canonicalIPv6(hostport)
	case i >= 0:
		if host = hostport[:i]; !validPort(hostport[i+1:]) {
			return "", false
		}
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	label, lower := 0, true
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case 'A' <= c && c <= 'Z':
			label++
			lower = false
		case c == '.' && label > 0:
			label = 0
		case c >= 0x80:
			name, err := endpoint.ParseHost(host)
			return name, err == nil && !strings.HasPrefix(name, "*")
		default:
			return "", false
		}
		if label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if !lower {
		host = strings.ToLower(host)
	}
	return host, true
}

func canonicalIPv6(hostport string) (string, bool) {
	literal, port, ok := strings.Cut(hostport[1:], "]")
	if !ok || port != "" && (port[0] != ':' || !validPort(port[1:])) {
		return "", false
	}
	a, err := netip.ParseAddr(literal)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", false
	}
	return a.String(), true
}

func validPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// requestTarget returns what goes into the upstream's request line: the path
// and query as the client sent them, or "*". It reports false for what is
// refused (reliability-security.md 4, H17 to H21), such as a target with
// another scheme than that of the listener.
func requestTarget(r *http.Request, scheme endpoint.Scheme) (string, bool) {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		switch {
		case target == "*":
			return target, r.Method == http.MethodOptions
		case r.URL.Scheme != string(scheme) || r.URL.Host == "" || r.URL.User != nil:
			return "", false
		}
		// The absolute form. Its path keeps its escapes.
		_, rest, _ := strings.Cut(target, "://")
		switch i := strings.IndexAny(rest, "/?#"); {
		case i < 0:
			return "/", true
		case rest[i] == '/':
			target = rest[i:]
		default:
			target = "/" + rest[i:]
		}
	}
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case c <= 0x20, c == 0x7f, c == '#':
			return "", false
		case c == '%':
			if i+2 >= len(target) || !hexDigit(target[i+1]) || !hexDigit(target[i+2]) || target[i+1:i+3] == "00" {
				return "", false
			}
		}
	}
	return target, true
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
