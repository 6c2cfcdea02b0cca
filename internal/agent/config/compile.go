package config

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Spec is an endpoint ready to be started.
type Spec struct {
	Name string
	// URL is what is asked of the server; its host is empty when the server
	// shall choose, or when Subdomain is set.
	URL         endpoint.URL
	Subdomain   string
	Bindings    []string
	Pooling     bool
	Description string
	Metadata    string

	Upstream      target.Target
	HTTP2         bool        // the upstream speaks HTTP/2
	ProxyProtocol int         // 0, 1 or 2
	UpstreamTLS   *tls.Config // nil: the agent speaks no TLS to the upstream
	// HostHeader is "" to leave the Host header alone, "rewrite" to put the
	// upstream's own there, else the value to put there.
	HostHeader string

	// Policy is the text of the endpoint's policy, empty for none or where
	// PolicyURL says from where to get it. PolicyFrom is what people call it.
	Policy, PolicyURL, PolicyFrom string

	// Modules are what the server makes rules of, ahead of the policy.
	Modules culvert.Modules

	AgentTLS *tls.Config // nil: the agent does not terminate TLS
	EdgeTLS  *EdgeTLS    // nil: the server does what the scheme implies
}

// EdgeTLS asks the server to terminate TLS of a tls endpoint, or to demand
// client certificates of an https endpoint.
type EdgeTLS struct {
	Certificate []byte // PEM; empty: the server's own for the name
	Key         []byte // PEM
	ClientCAs   []byte // PEM; empty: clients need no certificate
}

// HostRewrite is the HostHeader that stands for the upstream's own address.
const HostRewrite = "rewrite"

// compiler collects the issues of one definition.
type compiler struct {
	d      *Definition
	issues []Issue
}

func (c *compiler) report(key string, err error) {
	if err != nil {
		c.issues = append(c.issues, Issue{Key: c.d.label(key), Err: err})
	}
}

func (c *compiler) invalid(key, value, why string) {
	c.report(key, fault.New(fault.ValueInvalid, value, c.d.label(key), why))
}

// Compile checks the definition and loads its certificates. One definition
// gives one Spec, or two where an older tunnel asks for http and https. With
// issues there are no specs.
func (d Definition) Compile() ([]Spec, []Issue) {
	c := &compiler{d: &d}
	c.issues = slices.Clone(d.Refused)
	if d.Name == "" {
		c.invalid("name", "", "every endpoint needs a name")
	}
	u := c.url()
	s := Spec{
		Name: d.Name, URL: u, Subdomain: d.Subdomain, Pooling: d.Pooling, Description: d.Description, Metadata: d.Metadata,
	}
	s.Bindings = c.bindings(u)
	c.upstream(&s)
	c.termination(&s)
	c.policy(&s)
	c.modules(&s)
	schemes := c.schemes()
	if len(c.issues) > 0 {
		return nil, c.issues
	}
	switch len(schemes) {
	case 0:
		return []Spec{s}, nil
	case 1:
		s.URL.Scheme = schemes[0]
		return []Spec{s}, nil
	}
	plain := s
	s.URL.Scheme, plain.URL.Scheme = endpoint.HTTPS, endpoint.HTTP
	plain.Name += "-http"
	return []Spec{s, plain}, nil
}

// url parses the URL under the rules of the verb.
func (c *compiler) url() endpoint.URL {
	var allowed []endpoint.Scheme
	switch c.d.Kind {
	case "":
		allowed = []endpoint.Scheme{endpoint.HTTPS, endpoint.HTTP, endpoint.TCP, endpoint.TLS}
	case endpoint.HTTP:
		allowed = []endpoint.Scheme{endpoint.HTTPS, endpoint.HTTP}
	case endpoint.TCP, endpoint.TLS:
		allowed = []endpoint.Scheme{c.d.Kind}
	default:
		c.invalid("proto", string(c.d.Kind), "it must be http, tcp or tls")
		return endpoint.URL{Scheme: endpoint.HTTPS}
	}
	u, err := endpoint.ParseURL(c.d.URL, allowed[0])
	if err != nil {
		c.report("url", err)
		return endpoint.URL{Scheme: allowed[0]}
	}
	if !slices.Contains(allowed, u.Scheme) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		c.report("url", fault.New(fault.SchemeRefused, string(u.Scheme), c.d.URL, strings.Join(names, ", ")))
		u.Scheme = allowed[0]
	}
	if c.d.Subdomain == "" {
		return u
	}
	switch {
	case u.Host != "":
		c.report("subdomain", fault.New(fault.OptionConflict, c.d.label("subdomain"), c.d.label("url")))
	case u.Scheme == endpoint.TCP:
		c.invalid("subdomain", c.d.Subdomain, "a tcp endpoint has no subdomain")
	default:
		c.report("subdomain", endpoint.CheckHost(c.d.Subdomain))
	}
	return u
}

// schemes parses the list of an older http tunnel.
func (c *compiler) schemes() []endpoint.Scheme {
	var out []endpoint.Scheme
	for _, s := range c.d.Schemes {
		scheme := endpoint.Scheme(strings.ToLower(s))
		switch {
		case c.d.Kind != endpoint.HTTP:
			c.invalid("schemes", s, "only http tunnels have a list of schemes")
		case !scheme.IsHTTP():
			c.invalid("schemes", s, "it must be http or https")
		case slices.Contains(out, scheme):
			c.invalid("schemes", s, "it is given twice")
		case strings.Contains(c.d.URL, "://"):
			c.report("schemes", fault.New(fault.OptionConflict, c.d.label("schemes"), c.d.label("url")))
		default:
			out = append(out, scheme)
		}
	}
	return out
}

func (c *compiler) bindings(u endpoint.URL) []string {
	if names := c.d.Bindings; len(names) == 1 && names[0] == string(endpoint.Kubernetes) {
		c.report("bindings", fault.New(fault.BindingNotBuilt, names[0])) // whatever else is wrong
		return nil
	}
	b, err := endpoint.ParseBindings(c.d.Bindings, u.Host)
	if err != nil {
		c.report("bindings", err)
		return nil
	}
	if err := u.Check(b); err != nil {
		c.report("url", err)
		return nil
	}
	return slices.Clone(c.d.Bindings)
}

// upstream parses where the endpoint forwards to and how.
func (c *compiler) upstream(s *Spec) {
	kind := target.Web
	if !s.URL.Scheme.IsHTTP() {
		kind = target.Stream
	}
	t, err := target.Parse(c.d.Upstream, kind)
	if err != nil {
		c.report("upstream.url", err)
	}
	s.Upstream = t
	switch c.d.Protocol {
	case "", "http1":
	case "http2":
		s.HTTP2 = true
		if kind == target.Stream {
			c.invalid("upstream.protocol", c.d.Protocol, "only http endpoints have an upstream protocol")
		}
	default:
		c.report("upstream.protocol", fault.New(fault.UpstreamProtocol, c.d.Protocol))
	}
	switch c.d.ProxyProtocol {
	case "", "0":
	case "1", "v1":
		s.ProxyProtocol = 1
	case "2", "v2":
		s.ProxyProtocol = 2
	default:
		c.invalid("upstream.proxy_protocol", c.d.ProxyProtocol, "it must be 1 or 2")
	}
	if s.ProxyProtocol != 0 && t.Scheme == target.File {
		c.report("upstream.proxy_protocol", fault.New(fault.OptionConflict, c.d.label("upstream.proxy_protocol"), "a file:// upstream"))
	}
	c.hostHeader(s, kind)
	c.upstreamTLS(s)
}

func (c *compiler) hostHeader(s *Spec, kind target.Kind) {
	switch h := c.d.HostHeader; {
	case h == "" || h == "preserve":
		return
	case kind == target.Stream:
		c.invalid("upstream.host_header", h, "only http endpoints have a Host header")
	case s.Upstream.Scheme == target.File:
		return // files are the same under any name
	case s.ProxyProtocol != 0:
		c.report("upstream.host_header", fault.New(fault.OptionConflict, c.d.label("upstream.host_header"), c.d.label("upstream.proxy_protocol")))
	case s.HTTP2:
		c.report("upstream.host_header", fault.New(fault.OptionConflict, c.d.label("upstream.host_header"), c.d.label("upstream.protocol")+" http2"))
	case h == HostRewrite:
		s.HostHeader = HostRewrite
	case strings.ContainsAny(h, " \t\r\n/?#@\x00") || len(h) > 255:
		c.invalid("upstream.host_header", h, "it must be rewrite, preserve or a host name, with a port if need be")
	default:
		s.HostHeader = h
	}
}
