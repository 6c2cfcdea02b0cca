package diagnose

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/fault"
)

// Bounds of single steps.
const (
	lookupTime   = 5 * time.Second
	upstreamTime = 3 * time.Second
	slowLookup   = time.Second // slower than this is worth a warning
)

// Prober tries a server; an agent of the SDK does.
type Prober interface {
	Diagnose(ctx context.Context, addr string) (culvert.DiagnoseResult, error)
}

// Dialer opens connections to the server or the proxy; a *net.Dialer does.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Upstream is a configured upstream.
type Upstream struct {
	Endpoint string // name of its endpoint
	Target   target.Target
}

// Config says what to look at.
type Config struct {
	Server      string // host:port
	Proxy       string // URL; empty: none
	Fingerprint bool   // the server's CA is pinned
	IPv6        bool   // check IPv6 too
	Prober      Prober
	// Authenticate tries the authtoken with the server and opens nothing that
	// lasts. Nil: there is no token, which is worth a warning.
	Authenticate func(context.Context) error
	Dialer       Dialer
	Resolver     *net.Resolver // nil: the system's
	Timeout      time.Duration // for TCP, TLS and protocol together; 0: 10 s
	Upstreams    []Upstream
	Version      string
	Files        []string
	Environment  map[string]string
}

// Run does all checks.
func Run(ctx context.Context, c Config) *Report {
	r := &Report{
		Time: time.Now().UTC(), Version: c.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Server: c.Server, Proxy: RedactURL(c.Proxy), Files: c.Files, Environment: c.Environment, Checks: []Check{},
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	c.localhost(ctx, r)
	if c.proxy(ctx, r) {
		c.server(ctx, r)
	}
	if c.IPv6 {
		c.ipv6(ctx, r)
	}
	for _, u := range c.Upstreams {
		u.check(ctx, r)
	}
	return r
}

// lookup resolves a name and notes how that went.
func (c *Config) lookup(ctx context.Context, r *Report, stage, host string, bad func(error) error) bool {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	resolver := c.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	start := time.Now()
	name := host
	if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost") {
		name = "localhost" // as the agent dials it
	}
	addrs, err := resolver.LookupHost(ctx, name)
	took := time.Since(start)
	switch {
	case err != nil:
		r.fail(stage, "Name resolution", Err, took, bad(lookupError(err)))
		return false
	case took > slowLookup:
		r.add(stage, "Name resolution", Warn, took, fmt.Sprintf("%s took %s to resolve", host, took.Round(time.Millisecond)))
	default:
		r.add(stage, "Name resolution", OK, took, strings.Join(addrs, ", "))
	}
	return true
}

// lookupError shortens what a resolver says, which repeats the name.
func lookupError(err error) error {
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(d.Err)
	}
	return err
}

func (c *Config) localhost(ctx context.Context, r *Report) {
	c.lookup(ctx, r, "This machine", "localhost", func(err error) error { return fault.Wrap(err, fault.DiagLocalhost, err) })
}

// proxy checks the way to the proxy, if there is one. It reports whether it is
// worth going on.
func (c *Config) proxy(ctx context.Context, r *Report) bool {
	if c.Proxy == "" {
		return true
	}
	const stage = "Proxy"
	u, err := url.Parse(c.Proxy)
	if err != nil {
		r.fail(stage, "URL", Err, 0, fault.New(fault.ProxyInvalid, RedactURL(c.Proxy), "it is not a URL"))
		return false
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		if port == "" {
			port = "1080"
		}
	}
	if !c.lookup(ctx, r, stage, host, func(err error) error { return fault.Wrap(err, fault.DiagProxyResolve, host, err) }) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := c.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	took := time.Since(start)
	if err != nil {
		r.fail(stage, "TCP", Err, took, fault.Wrap(err, fault.DiagProxyConnect, RedactURL(c.Proxy), dialError(err)))
		return false
	}
	_ = conn.Close()
	r.add(stage, "TCP", OK, took, took.Round(10*time.Microsecond).String())
	return true
}

// server checks name, TCP, TLS and protocol of the server.
func (c *Config) server(ctx context.Context, r *Report) {
	stage := "Server " + c.Server
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil {
		r.fail(stage, "Address", Err, 0, fault.New(fault.ServerAddress, c.Server, "it is not host:port"))
		return
	}
	if c.Proxy == "" { // the proxy resolves the name otherwise
		if !c.lookup(ctx, r, stage, host, func(err error) error { return fault.Wrap(err, fault.DiagServerResolve, host, err) }) {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	start := time.Now()
	result, err := c.Prober.Diagnose(ctx, "")
	took := time.Since(start)
	switch {
	case err == nil:
	case culvert.IsTCPDiagnoseFailure(err):
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == fault.ProxyFailed {
			r.fail("Proxy", "Tunnel", Err, took, fault.Wrap(err, fault.DiagProxyConnect, RedactURL(c.Proxy), cause(err)))
			return
		}
		r.fail(stage, "TCP", Err, took, fault.Wrap(err, fault.DiagServerTCP, c.Server, cause(err)))
		return
	case culvert.IsTLSDiagnoseFailure(err):
		r.add(stage, "TCP", OK, 0, "")
		r.fail(stage, "TLS", Err, took, c.tlsFault(err, result.PeerCertificates))
		return
	case culvert.IsMuxadoDiagnoseFailure(err):
		r.add(stage, "TCP", OK, 0, "")
		r.add(stage, "TLS", OK, 0, chain(result.PeerCertificates))
		r.fail(stage, "Protocol", Err, took, fault.Wrap(err, fault.DiagServerProtocol, c.Server, cause(err)))
		return
	default:
		r.fail(stage, "Connection", Err, took, err)
		return
	}
	r.Region, r.Latency = result.Region, result.Latency
	r.add(stage, "TCP", OK, 0, "")
	r.add(stage, "TLS", OK, 0, chain(result.PeerCertificates))
	r.add(stage, "Protocol", OK, result.Latency, fmt.Sprintf("region %s, latency %s", orDash(result.Region), result.Latency.Round(10*time.Microsecond)))
	c.authtoken(ctx, r, stage)
}

// authtoken checks that the server takes the token.
func (c *Config) authtoken(ctx context.Context, r *Report, stage string) {
	const name = "Authtoken"
	if c.Authenticate == nil {
		r.fail(stage, name, Warn, 0, fault.New(fault.TokenMissing))
		return
	}
	start := time.Now()
	err := c.Authenticate(ctx)
	took := time.Since(start)
	if err != nil {
		r.fail(stage, name, Err, took, err)
		return
	}
	r.add(stage, name, OK, took, "accepted")
}

// tlsFault tells an interception from a plain failure: a chain that is not the
// pinned authority's. One of another Culvert authority is another server, or
// one that was set up anew; without the authority in it, it is not the address
// for agents, where the authority is always sent.
func (c *Config) tlsFault(err error, peers []*x509.Certificate) error {
	f, ok := errors.AsType[*fault.Error](err)
	if ok && f.Code == fault.DiagServerProtocol { // there is no TLS at all
		return f
	}
	if ok && f.Code == fault.FingerprintMismatch && len(peers) > 0 && strings.Contains(issuer(peers), "CN=Culvert ") {
		if peers[len(peers)-1].IsCA {
			return f
		}
		return fault.Wrap(err, fault.DiagServerProtocol, c.Server, "its certificate is that of an address for HTTPS")
	}
	untrusted := ok && (f.Code == fault.FingerprintMismatch || (f.Code == fault.ServerUntrusted && c.Fingerprint))
	if untrusted && len(peers) > 0 {
		return fault.Wrap(err, fault.DiagIntercepted, c.Server, issuer(peers))
	}
	return fault.Wrap(err, fault.DiagServerTLS, c.Server, cause(err))
}

// issuer names who signed a chain, as far as it shows.
func issuer(peers []*x509.Certificate) string {
	name := peers[len(peers)-1].Issuer.String()
	if name == "" {
		name = "an authority without a name"
	}
	return name
}

func chain(peers []*x509.Certificate) string {
	if len(peers) == 0 {
		return ""
	}
	return "certificate by " + issuer(peers)
}

// cause gives the innermost useful text of an error: the fault's own message
// without its code, or the error below the operation.
func cause(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if f.Cause != nil {
			return dialError(f.Cause).Error()
		}
		return strings.TrimSuffix(f.Message, ".")
	}
	return dialError(err).Error()
}

// dialError strips what a dial error repeats.
func dialError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

// ipv6 checks that the server can be reached over IPv6.
func (c *Config) ipv6(ctx context.Context, r *Report) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := c.Dialer.DialContext(ctx, "tcp6", c.Server)
	took := time.Since(start)
	if err != nil {
		r.fail("IPv6", "TCP", Err, took, fault.Wrap(err, fault.DiagIPv6, dialError(err)))
		return
	}
	_ = conn.Close()
	r.add("IPv6", "TCP", OK, took, took.Round(10*time.Microsecond).String())
}

// check tells whether something answers at an upstream. That it does not is no
// failure: the agent works without.
func (u Upstream) check(ctx context.Context, r *Report) {
	const stage = "Upstreams"
	if u.Target.Scheme == target.File {
		if _, err := os.Stat(u.Target.Path); err != nil {
			r.fail(stage, u.Endpoint, Warn, 0, fault.Wrap(err, fault.DiagUpstream, u.Target, u.Endpoint, err))
			return
		}
		r.add(stage, u.Endpoint, OK, 0, u.Target.String())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamTime)
	defer cancel()
	network, address := u.Target.Network()
	start := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	took := time.Since(start)
	if err != nil {
		r.fail(stage, u.Endpoint, Warn, took, fault.Wrap(err, fault.DiagUpstream, u.Target, u.Endpoint, dialError(err)))
		return
	}
	_ = conn.Close()
	r.add(stage, u.Endpoint, OK, took, u.Target.String())
}
