package culvert

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
)

// Upstream is where a forwarder takes its connections.
type Upstream struct {
	addr       string
	protocol   string
	proxyProto ProxyProtoVersion
	tlsConfig  *tls.Config
	dialer     Dialer
	hostHeader string
}

// UpstreamOption is a setting for [WithUpstream].
type UpstreamOption func(*Upstream)

// ProxyProtoVersion is a version of the PROXY protocol.
type ProxyProtoVersion string

// The versions of the PROXY protocol.
const (
	// ProxyProtoV1 is the text form.
	ProxyProtoV1 ProxyProtoVersion = "v1"
	// ProxyProtoV2 is the binary form.
	ProxyProtoV2 ProxyProtoVersion = "v2"
)

// WithUpstream names the service to forward to. For http and https endpoints:
// a port ("8080", and "443" for https), host:port, a name, or an http or https
// URL without a path. For tcp and tls endpoints: a port, host:port, or a tcp,
// tls, http or https URL. For all: "unix:/path" for a socket.
func WithUpstream(addr string, opts ...UpstreamOption) *Upstream {
	u := &Upstream{addr: addr}
	for _, opt := range opts {
		if opt != nil {
			opt(u)
		}
	}
	return u
}

// WithUpstreamProtocol says what the service speaks: "http1" or "http2".
// Default: HTTP/1.1.
func WithUpstreamProtocol(proto string) UpstreamOption {
	return func(u *Upstream) { u.protocol = proto }
}

// WithUpstreamProxyProto has the server put a PROXY header ahead of every
// connection, which reaches the service ahead of everything else. Default: no
// header.
func WithUpstreamProxyProto(proxyProto ProxyProtoVersion) UpstreamOption {
	return func(u *Upstream) { u.proxyProto = proxyProto }
}

// WithUpstreamTLSClientConfig sets how to speak TLS with the service if its
// URL asks for TLS. Default: the operating system's authorities, and the name
// in the URL.
func WithUpstreamTLSClientConfig(config *tls.Config) UpstreamOption {
	return func(u *Upstream) { u.tlsConfig = config }
}

// WithUpstreamDialer sets what opens connections to the service. Default: a
// net.Dialer.
func WithUpstreamDialer(dialer Dialer) UpstreamOption {
	return func(u *Upstream) { u.dialer = dialer }
}

// WithUpstreamHostHeader changes the Host header of requests on http and https
// endpoints: "rewrite" puts in the host of the service's URL, any other value
// is put in as it is. The host that the client named goes to
// X-Forwarded-Host. Forwarding then reads and writes HTTP instead of copying
// bytes. Default, also with "preserve": the header is left alone.
func WithUpstreamHostHeader(host string) UpstreamOption {
	return func(u *Upstream) {
		if host == "preserve" {
			host = ""
		}
		u.hostHeader = host
	}
}

// proxyVersion is the number of the PROXY version; it may be called on nil.
func (u *Upstream) proxyVersion() int {
	if u == nil {
		return 0
	}
	switch u.proxyProto {
	case ProxyProtoV1:
		return 1
	case ProxyProtoV2:
		return 2
	}
	return 0
}

// forwardsProto is what a bind says about the service; it may be called on
// nil.
func (u *Upstream) forwardsProto(proto string) string {
	if u == nil || (proto != "http" && proto != "https") {
		return ""
	}
	return u.protocol
}

// check refuses settings that cannot work for an endpoint of this protocol.
func (u *Upstream) check(proto string) error {
	isHTTP := proto == "http" || proto == "https"
	switch {
	case u.protocol != "" && u.protocol != "http1" && u.protocol != "http2":
		return fault.New(fault.ValueInvalid, u.protocol, "the upstream protocol", "it must be http1 or http2")
	case u.proxyProto != "" && u.proxyVersion() == 0:
		return fault.New(fault.ValueInvalid, string(u.proxyProto), "the PROXY protocol version", "it must be v1 or v2")
	case u.hostHeader != "" && !isHTTP:
		return fault.New(fault.ValueInvalid, u.hostHeader, "the host header", "only http and https endpoints have one")
	case u.hostHeader != "" && u.proxyProto != "":
		return fault.New(fault.OptionConflict, "the host header", "the PROXY protocol")
	case u.hostHeader != "" && u.protocol == "http2":
		return fault.New(fault.OptionConflict, "the host header", "the upstream protocol http2")
	}
	return nil
}

// target is an upstream address that was read.
type target struct {
	url     url.URL
	network string // tcp or unix
	addr    string // host:port or path
	tls     bool
	host    string // the name that TLS verifies
}

// parseUpstream reads an upstream address for an endpoint of this protocol
// (endpoints.md 7.6).
func parseUpstream(text, proto string) (target, error) {
	fail := func(why string) (target, error) {
		return target{}, fault.New(fault.UpstreamInvalidURL, text, why)
	}
	isHTTP := proto == "http" || proto == "https"
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return fail("the path of the socket is missing")
		}
		return target{url: url.URL{Scheme: "unix", Path: path}, network: "unix", addr: path}, nil
	}
	if strings.HasPrefix(text, "pipe:") {
		return fail("named pipes are not supported")
	}
	if strings.HasPrefix(text, "file:") {
		return fail("the culvert program serves directories, not the SDK")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "", "http", "https":
	case "tcp", "tls":
		if isHTTP {
			return fail("an http or https endpoint forwards to http or https")
		}
	default:
		return fail("the scheme " + scheme + " is not supported")
	}
	return parseHostPort(scheme, strings.TrimSuffix(rest, "/"), isHTTP, fail)
}

// parseHostPort reads what follows the scheme and fills in what is missing.
func parseHostPort(scheme, rest string, isHTTP bool, fail func(string) (target, error)) (target, error) {
	if strings.ContainsAny(rest, "/?#@ \t\r\n") {
		return fail("it has more than a host and a port")
	}
	if rest == "" && scheme == "" {
		return fail("it is empty")
	}
	var host, port string
	if _, err := strconv.Atoi(rest); err == nil && scheme == "" {
		host, port = "localhost", rest
	} else if h, p, err := net.SplitHostPort(rest); err == nil {
		host, port = h, p
		if port == "" {
			return fail("the port is missing")
		}
	} else if strings.Count(rest, ":") == 1 || (strings.Contains(rest, ":") && net.ParseIP(strings.Trim(rest, "[]")) == nil) {
		return fail("it is not host:port")
	} else {
		host = strings.Trim(rest, "[]")
	}
	if scheme == "" {
		switch {
		case !isHTTP:
			scheme = "tcp"
		case port == "443":
			scheme = "https"
		default:
			scheme = "http"
		}
	}
	if host == "" {
		if !isHTTP || (rest != "" && port == "") {
			return fail("the host is missing")
		}
		host = "localhost"
	}
	if port == "" {
		switch scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		default:
			return fail("the port is missing")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fail("the port is not a number from 1 to 65535")
	}
	if !utf8.ValidString(host) || strings.ContainsAny(host, "[]<>\"\\^`{|}") {
		return fail("the host is not a name or an address")
	}
	if strings.Contains(host, "%") { // the zone of an IPv6 address, escaped in URLs
		ip, err := netip.ParseAddr(strings.Replace(host, "%25", "%", 1))
		if err != nil {
			return fail("the host is not a name or an address")
		}
		host = ip.String()
	}
	addr := net.JoinHostPort(host, port)
	u := url.URL{Scheme: scheme, Host: addr}
	if again, err := url.Parse(u.String()); err != nil || again.Host != addr {
		return fail("the host is not a name or an address")
	}
	return target{
		url:     u,
		network: "tcp", addr: addr, tls: scheme == "https" || scheme == "tls", host: host,
	}, nil
}

// upstreamText is the form of a URL that parseUpstream reads: URL.String would
// escape names that are not ASCII.
func upstreamText(u url.URL) string {
	if u.Scheme == "unix" {
		return "unix:" + u.Host + u.Path
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// dial opens a connection to the target.
func (u *Upstream) dial(ctx context.Context, t target) (net.Conn, error) {
	if u.dialer != nil {
		return u.dialer.DialContext(ctx, t.network, t.addr)
	}
	if to, err := netip.ParseAddrPort(t.addr); err == nil && t.network == "tcp" && to.Addr().Zone() == "" && !to.Addr().IsUnspecified() {
		return netx.DialTCP(ctx, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	}
	var d net.Dialer
	return d.DialContext(ctx, t.network, t.addr)
}

// clientTLS returns the settings for TLS with the target. On http and https
// endpoints the bytes are of one version of HTTP, so that version is all that
// is offered.
func (u *Upstream) clientTLS(t target, proto string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if u.tlsConfig != nil {
		config = u.tlsConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = t.host
	}
	if proto == "http" || proto == "https" {
		config.NextProtos = []string{"http/1.1"}
		if u.protocol == "http2" {
			config.NextProtos = []string{"h2"}
		}
	}
	return config
}
