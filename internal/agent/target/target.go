package target

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/fault"
)

// Scheme says how an upstream is spoken to.
type Scheme string

// The schemes of upstreams. HTTP, HTTPS and File belong to http endpoints, TCP
// and TLS to tcp and tls endpoints.
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	TCP   Scheme = "tcp"
	TLS   Scheme = "tls" // TCP with TLS spoken by the agent
	File  Scheme = "file"
)

// Kind is the kind of endpoint that a target is for; it decides what a missing
// scheme means.
type Kind int

// The kinds of endpoint.
const (
	Web    Kind = iota // http and https endpoints
	Stream             // tcp and tls endpoints
)

// Target is the place that an endpoint forwards to.
type Target struct {
	Scheme Scheme
	// Address is host:port with an IPv6 host in brackets. It is empty when
	// Path is set.
	Address string
	// Path is the folder of a File target, else the unix socket to dial, else
	// empty.
	Path string
}

// Parse reads text as the upstream of an endpoint of kind k. Errors are faults
// with the code [fault.UpstreamInvalidURL] that say what is wrong.
func Parse(text string, k Kind) (Target, error) {
	t, problem := parse(strings.TrimSpace(text), k)
	if problem != "" {
		return Target{}, fault.New(fault.UpstreamInvalidURL, text, problem)
	}
	return t, nil
}

// String returns the canonical form, as it is shown to people.
func (t Target) String() string {
	switch {
	case t.Scheme == File:
		if strings.HasPrefix(t.Path, "/") {
			return "file://" + t.Path
		}
		return "file:///" + filepath.ToSlash(t.Path)
	case t.Path != "":
		return "unix:" + t.Path
	}
	return string(t.Scheme) + "://" + t.Address
}

// Secure reports whether the agent speaks TLS to the upstream.
func (t Target) Secure() bool { return t.Scheme == HTTPS || t.Scheme == TLS }

// Host returns the host without port and brackets: the name that TLS asks for.
// A unix socket has the host localhost.
func (t Target) Host() string {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return "localhost"
	}
	return host
}

// Network returns the network and address to dial, as for net.Dial.
func (t Target) Network() (network, address string) {
	if t.Path != "" {
		return "unix", t.Path
	}
	return "tcp", t.Address
}

func (s Scheme) defaultPort() int {
	switch s {
	case HTTP:
		return 80
	case HTTPS:
		return 443
	case TCP, TLS, File:
	}
	return 0
}

// parse does the work of Parse; problem is empty on success.
func parse(text string, k Kind) (t Target, problem string) {
	if text == "" {
		return t, "it is empty"
	}
	if rest, ok := cutScheme(text, "unix:"); ok {
		return parseSocket(rest, k)
	}
	if _, ok := cutScheme(text, "pipe:"); ok {
		return t, "named pipes are not supported yet"
	}
	if rest, ok := cutScheme(text, "file:"); ok {
		return parseFolder(rest, k)
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return parseBare(text, k)
	}
	s := Scheme(strings.ToLower(scheme))
	if problem := s.unfit(k); problem != "" {
		return t, problem
	}
	address, problem := parseAddress(rest, s.defaultPort())
	if k == Stream && s == HTTPS {
		s = TLS
	}
	return Target{Scheme: s, Address: address}, problem
}

// unfit says why an upstream with scheme s cannot serve endpoints of kind k.
func (s Scheme) unfit(k Kind) string {
	switch s {
	case HTTP, HTTPS:
		if k == Stream && s == HTTP {
			return "an http:// upstream belongs to an http endpoint"
		}
		return ""
	case TCP, TLS:
		if k == Web {
			return "a " + string(s) + ":// upstream belongs to a tcp or tls endpoint"
		}
		return ""
	case File: // has been read already
	}
	return "the scheme " + strconv.Quote(string(s)) + " is not known"
}

// parseBare reads a port, a host or host:port.
func parseBare(text string, k Kind) (Target, string) {
	if isDigits(text) {
		text = "localhost:" + text
	}
	if k == Stream {
		address, problem := parseAddress(text, 0)
		return Target{Scheme: TCP, Address: address}, problem
	}
	address, problem := parseAddress(text, 80)
	t := Target{Scheme: HTTP, Address: address}
	if strings.HasSuffix(address, ":443") {
		t.Scheme = HTTPS
	}
	return t, problem
}

// parseAddress reads host, host:port or nothing, which is localhost. A
// defaultPort of 0 means that the port must be given.
func parseAddress(text string, defaultPort int) (string, string) {
	text = strings.TrimSuffix(text, "/")
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		return "", "it may not have a path, query or fragment"
	}
	if strings.Contains(text, "@") {
		return "", "it may not have a user name or password"
	}
	host, port := text, ""
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	// Behind a zone anything goes, so only a whole literal is tried.
	if ip, err := netip.ParseAddr(bare); err == nil && ip.Is6() {
		host = ip.String()
	} else if i := strings.LastIndexByte(text, ':'); i >= 0 {
		h, p, err := net.SplitHostPort(text)
		if err != nil {
			return "", "it is not host:port (an IPv6 address needs brackets)"
		}
		if p == "" {
			return "", "the port is missing after the colon"
		}
		host, port = h, p
	}
	if host == "" {
		host = "localhost"
	}
	host = strings.ToLower(host) // which may change its length
	if problem := checkHost(host); problem != "" {
		return "", problem
	}
	switch {
	case port == "" && defaultPort == 0:
		return "", "a port is required"
	case port == "":
		port = strconv.Itoa(defaultPort)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", "the port must be a number from 1 to 65535"
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), ""
}

// checkHost refuses what can be neither a name nor an address. It is lenient:
// the resolver has the last word on names.
func checkHost(host string) string {
	if len(host) > 253 {
		return "the host name is too long"
	}
	for _, r := range host {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`"'<>[]\^{|}*,;=&$!()`+"`", r) {
			return "the host has a character that no host name has"
		}
	}
	return ""
}

// parseSocket reads what follows "unix:".
func parseSocket(rest string, k Kind) (Target, string) {
	path := strings.TrimPrefix(rest, "//")
	if path == "" {
		return Target{}, "the path of the socket is missing"
	}
	path = filepath.Clean(path)
	if k == Stream {
		return Target{Scheme: TCP, Path: path}, ""
	}
	return Target{Scheme: HTTP, Path: path}, ""
}

// parseFolder reads what follows "file:". Folders are absolute, because the
// agent may be started anywhere.
func parseFolder(rest string, k Kind) (Target, string) {
	if k == Stream {
		return Target{}, "a file:// upstream belongs to an http endpoint"
	}
	path := strings.TrimPrefix(rest, "//")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	if trimmed := strings.TrimPrefix(path, "/"); filepath.VolumeName(trimmed) != "" {
		path = trimmed // file:///C:/dir on Windows
	}
	if !filepath.IsAbs(path) {
		return Target{}, "the path must be absolute, as in file:///srv/site"
	}
	return Target{Scheme: File, Path: filepath.Clean(path)}, ""
}

func cutScheme(text, scheme string) (string, bool) {
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return text, false
	}
	return text[len(scheme):], true
}

func isDigits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
