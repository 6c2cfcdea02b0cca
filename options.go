package culvert

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/viaproxy"
	"github.com/culvert-project/culvert/internal/version"
)

// defaultServer is where a server on the same machine listens for agents.
const defaultServer = "localhost:9444"

// maxMetadata is the longest metadata the server accepts, in bytes.
const maxMetadata = 4096

// AgentOption is a setting for [NewAgent].
type AgentOption func(*agentOptions)

// agentOptions are the settings of an agent. They do not change once NewAgent
// has returned.
type agentOptions struct {
	authtoken   string
	autoConnect bool
	connectURL  string
	connectCAs  *x509.CertPool
	fingerprint string
	tlsConfig   []func(*tls.Config)
	tickets     *tickets
	dialer      Dialer
	proxyURL    string

	heartbeatInterval, heartbeatTolerance, drain time.Duration

	multiLeg        bool
	legs            []string
	metadata        string
	clients         []clientInfo
	logger          *slog.Logger
	handlers        []EventHandler
	httpEvents      bool
	rpcHandler      RPCHandler
	fromEnvironment bool
}

type clientInfo struct {
	name, version string
	comments      []string
}

func defaultAgentOptions() agentOptions {
	return agentOptions{
		autoConnect: true, drain: 10 * time.Second, httpEvents: true,
		tickets: newTickets(),
	}
}

// check refuses what cannot work.
func (o *agentOptions) check() error {
	if len(o.metadata) > maxMetadata {
		return fault.New(fault.MetadataTooLong, len(o.metadata))
	}
	if o.proxyURL != "" {
		if _, err := viaproxy.Parse(o.proxyURL); err != nil {
			return err
		}
	}
	if o.fingerprint != "" {
		if _, err := parseFingerprint(o.fingerprint); err != nil {
			return err
		}
	}
	for _, addr := range append([]string{o.connectURL}, o.legs...) {
		if addr == "" {
			continue
		}
		if _, err := parseServer(addr); err != nil {
			return err
		}
	}
	return nil
}

// environment fills settings that were not given from the environment; the
// package-level agent uses it.
func (o *agentOptions) environment() error {
	set := func(to *string, names ...string) {
		for _, name := range names {
			if *to == "" {
				*to = os.Getenv(name)
			}
		}
	}
	set(&o.authtoken, "CULVERT_AUTHTOKEN", "NGROK_AUTHTOKEN")
	set(&o.connectURL, "CULVERT_CONNECT_URL")
	set(&o.fingerprint, "CULVERT_CA_FINGERPRINT")
	file := ""
	set(&file, "CULVERT_CONNECT_CAS")
	if file != "" && file != "host" && o.connectCAs == nil {
		pool, err := readCAs(file)
		if err != nil {
			return err
		}
		o.connectCAs = pool
	}
	return o.check()
}

// readCAs reads PEM certificates.
func readCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fault.Wrap(err, fault.CAFileInvalid, file, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.CAFileInvalid, file, "it holds no PEM certificate")
	}
	return pool, nil
}

// parseServer reads a server address: host:port, or a host with port 443, with
// an optional scheme in front. It returns host:port.
func parseServer(text string) (string, error) {
	addr := text
	for _, scheme := range []string{"tls://", "https://"} {
		addr = strings.TrimPrefix(addr, scheme)
	}
	addr = strings.TrimSuffix(addr, "/")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		// Without a port, or an IPv6 address without brackets.
		host, port = strings.Trim(addr, "[]"), "443"
		if strings.Contains(host, ":") {
			if _, ipErr := netip.ParseAddr(host); ipErr != nil {
				return "", fault.New(fault.ServerAddress, text, "it is not host:port")
			}
		}
	}
	switch {
	case host == "":
		return "", fault.New(fault.ServerAddress, text, "the host is missing")
	case strings.ContainsAny(host, "/@?# \t"):
		return "", fault.New(fault.ServerAddress, text, "it has more than a host and a port")
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return "", fault.New(fault.ServerAddress, text, "the port is not a number from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

// WithAuthtoken sets the token that identifies the account to the server.
// Default: none.
func WithAuthtoken(token string) AgentOption {
	return func(o *agentOptions) { o.authtoken = token }
}

// WithAutoConnect says whether Listen and Forward connect by themselves when
// there is no session. Default: they do.
func WithAutoConnect(auto bool) AgentOption {
	return func(o *agentOptions) { o.autoConnect = auto }
}

// WithAgentConnectURL sets the server's address for agents, host:port. Port
// 443 is assumed if there is none. Default: localhost:9444.
func WithAgentConnectURL(addr string) AgentOption {
	return func(o *agentOptions) { o.connectURL = addr }
}

// WithAgentConnectCAs sets the authorities that the server's certificate may
// be signed by. Default: those of the operating system.
func WithAgentConnectCAs(pool *x509.CertPool) AgentOption {
	return func(o *agentOptions) { o.connectCAs = pool }
}

// WithCAFingerprint trusts exactly one authority, which the server presents
// itself: fingerprint is "sha256:" and the hexadecimal SHA-256 of its
// certificate, as the server prints it. It replaces [WithAgentConnectCAs].
func WithCAFingerprint(fingerprint string) AgentOption {
	return func(o *agentOptions) { o.fingerprint = fingerprint }
}

// WithTLSConfig calls change on the TLS settings for connections to the server,
// after all other options have been applied to them.
func WithTLSConfig(change func(*tls.Config)) AgentOption {
	return func(o *agentOptions) {
		if change != nil {
			o.tlsConfig = append(o.tlsConfig, change)
		}
	}
}

// WithDialer sets what opens connections to the server, or to the proxy if
// there is one. Default: a net.Dialer.
func WithDialer(dialer Dialer) AgentOption {
	return func(o *agentOptions) { o.dialer = dialer }
}

// WithProxyURL sets a proxy for connections to the server: http, https, socks5
// or socks5h, with user and password if it asks for them. Connections to
// upstreams do not use it. Default: none.
func WithProxyURL(urlSpec string) AgentOption {
	return func(o *agentOptions) { o.proxyURL = urlSpec }
}

// WithHeartbeatInterval sets the time between heartbeats. Default: 10 s.
func WithHeartbeatInterval(interval time.Duration) AgentOption {
	return func(o *agentOptions) { o.heartbeatInterval = interval }
}

// WithHeartbeatTolerance sets how long an echo may be late before the
// connection counts as lost. Default: 15 s.
func WithHeartbeatTolerance(tolerance time.Duration) AgentOption {
	return func(o *agentOptions) { o.heartbeatTolerance = tolerance }
}

// WithDrainTimeout sets how long open connections may go on after the context
// of Connect or Forward has ended. Default: 10 s; 0 ends them at once.
func WithDrainTimeout(d time.Duration) AgentOption {
	return func(o *agentOptions) { o.drain = d }
}

// WithMultiLeg opens a connection to each server that the first one names, so
// that endpoints stay online while one of them restarts. Default: one
// connection.
func WithMultiLeg(enable bool) AgentOption {
	return func(o *agentOptions) { o.multiLeg = enable }
}

// WithAgentLegs opens further connections to the servers with these addresses
// instead of those that the first server names. It implies [WithMultiLeg].
func WithAgentLegs(addrs ...string) AgentOption {
	return func(o *agentOptions) {
		o.legs = append(o.legs, addrs...)
		o.multiLeg = o.multiLeg || len(o.legs) > 0
	}
}

// WithAgentDescription takes a description for people, as programs written for
// other SDKs give one. It stays local and changes nothing: the protocol has no
// field for it.
func WithAgentDescription(_ string) AgentOption {
	return func(*agentOptions) {}
}

// WithAgentMetadata sets the session's metadata, text for programs of at most
// 4096 bytes.
func WithAgentMetadata(meta string) AgentOption {
	return func(o *agentOptions) { o.metadata = meta }
}

// WithClientInfo names the program that uses the SDK. With several calls the
// last one names the outermost program.
func WithClientInfo(clientType, version string, comments ...string) AgentOption {
	return func(o *agentOptions) {
		o.clients = append(o.clients, clientInfo{clientType, version, comments})
	}
}

// WithLogger sets where the agent logs. Default: nowhere.
func WithLogger(logger *slog.Logger) AgentOption {
	return func(o *agentOptions) { o.logger = logger }
}

// WithEventHandler registers a handler for events. Several handlers may be
// registered; they are called in that order.
func WithEventHandler(handler EventHandler) AgentOption {
	return func(o *agentOptions) {
		if handler != nil {
			o.handlers = append(o.handlers, handler)
		}
	}
}

// WithHTTPRequestEvents says whether event handlers are told about HTTP
// requests that are forwarded; see [EventHTTPRequestComplete]. Looking at them
// costs some speed. Default: they are.
func WithHTTPRequestEvents(enable bool) AgentOption {
	return func(o *agentOptions) { o.httpEvents = enable }
}

// WithRPCHandler registers a handler for the server's commands to stop,
// restart and update. Without one the server is told that the agent does not
// support them.
func WithRPCHandler(handler RPCHandler) AgentOption {
	return func(o *agentOptions) { o.rpcHandler = handler }
}

// userAgent names the programs that use the SDK, outermost first. The version
// of the first is what the agent reports.
func (o *agentOptions) userAgent() (outermost clientInfo, all string) {
	clients := []clientInfo{{name: "culvert-go", version: version.Read().Version}}
	for _, c := range o.clients {
		clients = append([]clientInfo{c}, clients...)
	}
	parts := make([]string, 0, len(clients))
	for _, c := range clients {
		part := clean(c.name) + "/" + clean(c.version)
		if len(c.comments) > 0 {
			part += " (" + clean(strings.Join(c.comments, "; ")) + ")"
		}
		parts = append(parts, part)
	}
	return clients[0], strings.Join(parts, " ")
}

// clean keeps a name from being read as more than one.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return '-'
		case r < ' ' || r > '~' || r == '(' || r == ')':
			return '#'
		}
		return r
	}, s)
}

// slashed returns a path as it appears in a URL.
func slashed(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}
