package node

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/sshd"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// The default addresses and ports of a server (decisions.md 4).
const (
	DefaultDomain    = "culvert.localhost"
	DefaultHTTPAddr  = "127.0.0.1:9080"
	DefaultHTTPSAddr = "127.0.0.1:9443"
	DefaultAgentAddr = "127.0.0.1:9444"
	DefaultAPIAddr   = "127.0.0.1:9400"
	DefaultSSHAddr   = "127.0.0.1:9422"
	// DefaultGrace is how long a stopping server lets open exchanges finish.
	DefaultGrace = 30 * time.Second
	// DefaultRegion is what a server that stands alone calls its place.
	DefaultRegion = "local"
)

// DefaultTCPPorts is the range that TCP endpoints get their ports from.
func DefaultTCPPorts() PortRange { return PortRange{First: 20000, Last: 20999} }

// Config is everything that a server can be told. The zero value of each field
// but DataDir means its default.
type Config struct {
	// DataDir holds keys, tokens and certificates. It is required.
	DataDir string
	// Domains are the base domains under which agents take names; random names
	// come under the first. Default [DefaultDomain].
	Domains []string
	// HTTPAddr, HTTPSAddr, AgentAddr, APIAddr and SSHAddr are the listeners'
	// addresses, host:port. Defaults as above.
	HTTPAddr, HTTPSAddr, AgentAddr, APIAddr, SSHAddr string
	// TCPAddr is the host that TCP endpoints listen on. Default: the host of
	// HTTPSAddr.
	TCPAddr string
	// TCPPorts is the range of ports for TCP endpoints.
	TCPPorts PortRange
	// TLSCert and TLSKey name PEM files to use instead of the development CA;
	// both or neither.
	TLSCert, TLSKey string
	// ACME says how certificates are had from authorities.
	ACME ACME
	// AdvertiseHTTPPort and AdvertiseHTTPSPort are the ports that clients use
	// when they are not the listeners' own, as behind a load balancer.
	AdvertiseHTTPPort, AdvertiseHTTPSPort uint16
	// AdvertiseAgent is host:port of the agent listener as agents reach it.
	// Default: derived from AgentAddr and the first domain.
	AdvertiseAgent string
	// ShutdownGrace is how long a stopping server lets open exchanges finish.
	// Default [DefaultGrace]; negative means not at all.
	ShutdownGrace time.Duration
	// GeoIP are databases in MaxMind's format, and IPCategories a folder of
	// lists whose file names are categories: what policies may know of
	// addresses. Default: nothing.
	GeoIP        []string
	IPCategories string
	// PolicyEgress says which addresses policies may ask besides internal
	// endpoints: [EgressNone], the default, or [EgressPublic]. OutboundAllow are
	// further addresses that the server may ask, private ones among them.
	PolicyEgress  Egress
	OutboundAllow []netip.Prefix
	// Region is what the server calls its place. Default [DefaultRegion].
	Region string
	// Version is the server's version, shown to agents.
	Version string
	// Edge bounds what public clients may cost, Agents what agents may, SSH what
	// plain SSH clients may, Endpoints what all of them may hold, and API what its callers may ask. Connections and listeners that are not
	// bounded get a share of the descriptors that the process may open.
	Edge      edge.Limits
	Agents    tunnel.Limits
	SSH       sshd.Limits
	Endpoints claims.Limits
	API       rest.Limits
	// TrustedProxies are peers that begin their connections to the public
	// listeners with a PROXY header. At the API listener their X-Forwarded-*
	// fields are believed.
	TrustedProxies []netip.Prefix
	// ExtraListeners are further public ports. They listen on the host of
	// HTTPSAddr.
	ExtraListeners []ExtraListener
	// RedirectHTTP is the status with which http requests for names that are
	// online as https only are sent there: 307 or 308. Default 307; -1 turns
	// the redirect off.
	RedirectHTTP int
	// ForwardedHeaders says what becomes of X-Forwarded-* that clients send:
	// "append", "replace" or "off". Default "append".
	ForwardedHeaders string
	// DatabaseURL names a PostgreSQL database to keep resources in. It may have a
	// password. Default: SQLite, in DataDir.
	DatabaseURL string
	// MasterKeyFile has the keys that seal secrets. Default: sealing.key in
	// DataDir.
	MasterKeyFile string
	// APITLS says whether the API is served over HTTPS: [TLSAuto], the default,
	// [TLSOn] or [TLSOff].
	APITLS Switch
	// APIOnHTTPS serves the API on the HTTPS listener too, to clients that ask
	// for api.<domain>.
	APIOnHTTPS bool
	// APIURL is where clients find the API, such as "https://api.example.com".
	// Default: as each request came.
	APIURL string
	// APIOrigins are the origins of web pages that may call the API, such as
	// "https://console.example.com". Default: none.
	APIOrigins []string
	// BootstrapAuthtoken is the first authtoken. If it is empty and there is no
	// token yet, one is made.
	BootstrapAuthtoken string
	// BootstrapAPIKey is an API key of the first account's administrator. If it
	// is empty and there is no key yet, one is made.
	BootstrapAPIKey string
	// Logger gets what an operator wants to know. Default: nothing is logged.
	Logger *slog.Logger
	// AccessLog gets one record for each request and connection. Default: none.
	AccessLog *slog.Logger
	// Listen opens listeners. Default: netx.Listen.
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)

	apiConns int // connections of the API
}

// Switch says whether something is on.
type Switch string

// The values of Switch.
const (
	TLSAuto Switch = "auto" // on unless the listener is on loopback
	TLSOn   Switch = "on"
	TLSOff  Switch = "off"
)

// Egress says which addresses policies may ask.
type Egress string

// The values of Egress.
const (
	EgressNone   Egress = "none"
	EgressPublic Egress = "public" // those of the internet
)

// ExtraListener is a further public port.
type ExtraListener struct {
	// Scheme is http, https or tls.
	Scheme endpoint.Scheme
	Port   uint16
}

// PortRange is a range of ports, both ends included. The zero value is empty.
type PortRange struct{ First, Last uint16 }

// withDefaults returns c with every zero replaced.
func (c Config) withDefaults() Config {
	if len(c.Domains) == 0 {
		c.Domains = []string{DefaultDomain}
	}
	c.Domains = slices.Clone(c.Domains)
	for i, d := range c.Domains {
		if host, err := endpoint.ParseHost(d); err == nil { // what is wrong is said by check
			c.Domains[i] = host // canonical: all else compares names as they are
		}
	}
	c.HTTPAddr = cmp.Or(c.HTTPAddr, DefaultHTTPAddr)
	c.HTTPSAddr = cmp.Or(c.HTTPSAddr, DefaultHTTPSAddr)
	c.AgentAddr = cmp.Or(c.AgentAddr, DefaultAgentAddr)
	c.APIAddr = cmp.Or(c.APIAddr, DefaultAPIAddr)
	c.SSHAddr = cmp.Or(c.SSHAddr, DefaultSSHAddr)
	if c.TCPAddr == "" {
		c.TCPAddr, _, _ = net.SplitHostPort(c.HTTPSAddr) // valid, as the field says
	}
	c.TCPPorts = cmp.Or(c.TCPPorts, DefaultTCPPorts())
	c.ShutdownGrace = max(0, cmp.Or(c.ShutdownGrace, DefaultGrace))
	c.Region = cmp.Or(c.Region, DefaultRegion)
	c.APITLS = cmp.Or(c.APITLS, TLSAuto)
	c.PolicyEgress = cmp.Or(c.PolicyEgress, EgressNone)
	c.RedirectHTTP = cmp.Or(c.RedirectHTTP, 307)
	c.ForwardedHeaders = cmp.Or(c.ForwardedHeaders, "append")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Listen == nil {
		c.Listen = netx.Listen
	}
	return c.shared(descriptors())
}
