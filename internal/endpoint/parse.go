package endpoint

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/fault"
)

// maxURL bounds the text of a URL: a name of 253 characters in any script fits many times.
const maxURL = 4096

// allSchemes is how refusals list the schemes.
const allSchemes = "http, https, tcp, tls"

// ParseURL reads an endpoint URL as a person writes it (endpoints.md 3.1, 3.2): a full URL, a host with or
// without port, a scheme alone, or nothing. def is the scheme of text without one; "" means https. Host and
// port stay zero where they were not given. Errors are *fault.Error.
func ParseURL(text string, def Scheme) (URL, error) {
	if def == "" {
		def = HTTPS
	}
	if len(text) > maxURL {
		return URL{}, unparseable(text[:40]+"...", "it is too long")
	}
	if bad := strings.IndexFunc(text, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\'
	}); bad >= 0 {
		return URL{}, unparseable(text, "it has a space, a backslash or a character that cannot be shown")
	}
	u := URL{Scheme: def}
	rest := text
	if scheme, after, found := strings.Cut(text, "://"); found && !strings.ContainsAny(scheme, "/?#@") {
		u.Scheme, rest = Scheme(strings.ToLower(scheme)), after
		if !u.Scheme.Known() {
			return URL{}, fault.New(fault.SchemeRefused, scheme, redact(text), allSchemes)
		}
	} else if strings.HasPrefix(text, "//") {
		return URL{}, unparseable(text, "the scheme is missing")
	}
	if err := refuseExtras(text, rest); err != nil {
		return URL{}, err
	}
	host, port, err := splitPort(text, rest)
	if err != nil {
		return URL{}, err
	}
	u.Port = port
	if host == "" {
		return u, nil
	}
	if u.Host, err = ParseHost(host); err != nil {
		return URL{}, err
	}
	return u, nil
}

// refuseExtras names the part of a URL that endpoints do not have.
func refuseExtras(text, rest string) error {
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	extra := rest[len(authority):]
	switch {
	case strings.Contains(authority, "@"):
		return fault.New(fault.URLExtraPart, redact(text), "user information")
	case extra == "":
		return nil
	case extra == "/":
		return fault.New(fault.URLTrailingSlash, text, strings.TrimSuffix(text, "/"))
	case extra[0] == '/':
		return fault.New(fault.URLExtraPart, text, "a path")
	case extra[0] == '?':
		return fault.New(fault.URLExtraPart, text, "a query")
	default:
		return fault.New(fault.URLExtraPart, text, "a fragment")
	}
}

// splitPort splits host[:port].
func splitPort(text, authority string) (string, uint16, error) {
	if strings.HasPrefix(authority, "[") || strings.Count(authority, ":") > 1 {
		return "", 0, unparseable(text, "an endpoint's host is a name, not an IPv6 address")
	}
	host, digits, found := strings.Cut(authority, ":")
	if !found {
		return host, 0, nil
	}
	if host == "" {
		return "", 0, unparseable(text, "it has a port but no host")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || len(digits) > 5 || digits[0] < '0' {
		return "", 0, unparseable(text, "its port is not a number from 1 to 65535")
	}
	return host, uint16(n), nil
}

func unparseable(text, why string) error {
	return fault.New(fault.URLUnparseable, redact(text), why)
}

// redact hides user information, which may hold a password.
func redact(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	start := 0
	if i := strings.Index(text, "://"); i >= 0 && i < at {
		start = i + len("://")
	}
	return text[:start] + "***" + text[at:]
}
