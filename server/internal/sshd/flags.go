package sshd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// flag is a flag of a command.
type flag struct {
	name string
	// arg is what its value is called, "" for one that needs none.
	arg, usage string
	// on are the commands that have it; none means all.
	on []string
	// set takes a value; "true" for one that needs none.
	set func(c *command, value string) error
}

// The commands.
const (
	httpVerb = "http"
	tcpVerb  = "tcp"
	tlsVerb  = "tls"
)

// flags are those of agents that make sense at the server (agent.md 12).
func flags() []flag {
	web, named, port := []string{httpVerb}, []string{httpVerb, tlsVerb}, []string{tcpVerb}
	return []flag{
		{"url", "URL", "wanted URL, instead of a name in -R", nil, func(c *command, v string) error { return c.address("--url", v) }},
		{"hostname", "NAME", "wanted name, instead of one in -R", named, func(c *command, v string) error { return c.address("--hostname", v) }},
		{"domain", "NAME", "the same as --hostname", named, func(c *command, v string) error { return c.address("--domain", v) }},
		{"subdomain", "LABEL", "wanted name below the server's domain", named, text(func(c *command) *string { return &c.subdomain })},
		{"remote-addr", "HOST:PORT", "wanted address, instead of one in -R", port, func(c *command, v string) error { return c.address("--remote-addr", v) }},
		{"scheme", "SCHEME", "http or https (default https, or http where -R has port 80)", web, (*command).setScheme},
		{"name", "NAME", "name of the endpoint", nil, text(func(c *command) *string { return &c.name })},
		{"description", "TEXT", "for people", nil, text(func(c *command) *string { return &c.description })},
		{"metadata", "TEXT", "for programs", nil, text(func(c *command) *string { return &c.metadata })},
		{"pooling-enabled", "", "share the URL with other endpoints that do the same", nil, truth(func(c *command) *bool { return &c.pooling })},
		{"traffic-policy-url", "URL", "traffic policy, which the server fetches once", nil, text(func(c *command) *string { return &c.policyURL })},
		{"upstream-protocol", "PROTOCOL", "http1 or http2 (default http1)", web, text(func(c *command) *string { return &c.protocol })},
		{"app-protocol", "PROTOCOL", "the same as --upstream-protocol", web, text(func(c *command) *string { return &c.protocol })},
		{"upstream-proxy-protocol", "VERSION", "version of the PROXY header to the upstream: 1 or 2 (default none)", nil, (*command).setProxyProtocol},
		{"proxy-proto", "VERSION", "the same as --upstream-proxy-protocol", nil, (*command).setProxyProtocol},
		{"terminate-at", "PLACE", "where TLS ends: edge or upstream (default upstream)", []string{tlsVerb}, (*command).setTerminateAt},
		{"cidr-allow", "NETWORK", "who may connect, such as 10.0.0.0/8; repeatable", nil, networks(func(r *wire.IPRestriction) *[]string { return &r.Allow })},
		{"cidr-deny", "NETWORK", "who may not, although it is allowed; repeatable", nil, networks(func(r *wire.IPRestriction) *[]string { return &r.Deny })},
		{"basic-auth", "USER:PASSWORD", "ask clients for a password; repeatable", web, (*command).addBasicAuth},
		{"circuit-breaker", "RATIO", "hold requests back above this ratio of errors", web, (*command).setCircuitBreaker},
		{"compression", "", "compress responses", web, (*command).setCompression},
		{"request-header-add", "NAME:VALUE", "header to add to requests; repeatable", web, headers(func(m *wire.Modules) **wire.Headers { return &m.RequestHeaders }, true)},
		{"request-header-remove", "NAME", "header to remove from requests; repeatable", web, headers(func(m *wire.Modules) **wire.Headers { return &m.RequestHeaders }, false)},
		{"response-header-add", "NAME:VALUE", "header to add to responses; repeatable", web, headers(func(m *wire.Modules) **wire.Headers { return &m.ResponseHeaders }, true)},
		{"response-header-remove", "NAME", "header to remove from responses; repeatable", web, headers(func(m *wire.Modules) **wire.Headers { return &m.ResponseHeaders }, false)},
		{"ua-filter-allow", "PATTERN", "programs that may send requests; repeatable", web, agents(func(f *wire.UserAgentFilter) *[]string { return &f.Allow })},
		{"ua-filter-deny", "PATTERN", "programs that may not; repeatable", web, agents(func(f *wire.UserAgentFilter) *[]string { return &f.Deny })},
	}
}

func (f *flag) has(verb string) bool { return len(f.on) == 0 || slices.Contains(f.on, verb) }

func text(of func(*command) *string) func(*command, string) error {
	return func(c *command, value string) error {
		*of(c) = value
		return nil
	}
}

func truth(of func(*command) *bool) func(*command, string) error {
	return func(c *command, value string) (err error) {
		*of(c), err = strconv.ParseBool(value)
		return err
	}
}

// address takes a flag that names the endpoint's address.
func (c *command) address(flag, value string) error {
	c.wanted, c.wantedBy = value, flag
	return nil
}

func (c *command) setScheme(value string) error {
	c.scheme = endpoint.Scheme(value)
	if !c.scheme.IsHTTP() {
		return fmt.Errorf("%q is neither http nor https", value)
	}
	return nil
}

func (c *command) setProxyProtocol(value string) error {
	switch value {
	case "1":
		c.proxy = 1
	case "2":
		c.proxy = 2
	default:
		return fault.New(fault.SSHProxyProtocol, value)
	}
	return nil
}

func (c *command) setTerminateAt(value string) error {
	switch value {
	case "edge":
		c.terminate = true
	case "upstream":
		c.terminate = false
	default:
		return fmt.Errorf("%q is neither edge nor upstream", value)
	}
	return nil
}

func (c *command) addBasicAuth(value string) error {
	name, password, ok := strings.Cut(value, ":")
	if !ok {
		return fmt.Errorf("it is not written USER:PASSWORD")
	}
	if c.modules.BasicAuth == nil {
		c.modules.BasicAuth = new(wire.BasicAuth)
	}
	all := &c.modules.BasicAuth.Credentials
	*all = append(*all, wire.Credential{Username: name, Password: password})
	return nil
}

func (c *command) setCircuitBreaker(value string) error {
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("%q is no number", value)
	}
	c.modules.CircuitBreaker = &wire.CircuitBreaker{Threshold: ratio}
	return nil
}

func (c *command) setCompression(value string) error {
	on, err := strconv.ParseBool(value)
	if c.modules.Compression = nil; on {
		c.modules.Compression = new(struct{})
	}
	return err
}

func networks(of func(*wire.IPRestriction) *[]string) func(*command, string) error {
	return func(c *command, value string) error {
		if c.modules.IPRestriction == nil {
			c.modules.IPRestriction = new(wire.IPRestriction)
		}
		list := of(c.modules.IPRestriction)
		*list = append(*list, strings.Split(value, ",")...)
		return nil
	}
}

func headers(of func(*wire.Modules) **wire.Headers, add bool) func(*command, string) error {
	return func(c *command, value string) error {
		h := of(&c.modules)
		if *h == nil {
			*h = new(wire.Headers)
		}
		list := &(*h).Remove
		if add {
			list = &(*h).Add
		}
		*list = append(*list, value)
		return nil
	}
}

func agents(of func(*wire.UserAgentFilter) *[]string) func(*command, string) error {
	return func(c *command, value string) error {
		if c.modules.UserAgentFilter == nil {
			c.modules.UserAgentFilter = new(wire.UserAgentFilter)
		}
		list := of(c.modules.UserAgentFilter)
		*list = append(*list, value)
		return nil
	}
}
