package config

import (
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
)

// modules returns what the tunnel asks the server to make rules of.
func (t Tunnel) modules() culvert.Modules {
	return culvert.Modules{
		AllowCIDRs: t.IPRestriction.Allow, DenyCIDRs: t.IPRestriction.Deny,
		AllowUserAgents: t.UAFilter.Allow, DenyUserAgents: t.UAFilter.Deny,
		BasicAuth: t.BasicAuth, CircuitBreaker: t.CircuitBreaker, Compression: t.Compression,
		RequestHeaders: culvert.HeaderChanges(t.ReqHeader), ResponseHeaders: culvert.HeaderChanges(t.RespHeader),
	}
}

// modules checks what can be seen without the server, which judges the rest.
func (c *compiler) modules(s *Spec) {
	m := c.d.Modules
	s.Modules = m
	if len(m.AllowCIDRs) == 0 && len(m.DenyCIDRs) > 0 {
		c.report("ip_restriction", fault.New(fault.CIDRDenyAlone))
	}
	for _, pair := range m.BasicAuth {
		user, password, _ := strings.Cut(pair, ":")
		if user == "" {
			c.report("basic_auth", fault.New(fault.BasicAuthUser))
		}
		if n := utf8.RuneCountInString(password); n < 8 || n > 128 {
			c.report("basic_auth", fault.New(fault.BasicAuthPassword))
		}
	}
	if b := m.CircuitBreaker; b != nil && (*b < 0 || *b > 1) {
		c.report("circuit_breaker", fault.New(fault.CircuitBreakerThreshold))
	}
	if s.URL.Scheme.IsHTTP() {
		return
	}
	for _, o := range []struct {
		key string
		set bool
	}{
		{"basic_auth", len(m.BasicAuth) > 0},
		{"circuit_breaker", m.CircuitBreaker != nil},
		{"compression", m.Compression},
		{"request_header", len(m.RequestHeaders.Add)+len(m.RequestHeaders.Remove) > 0},
		{"response_header", len(m.ResponseHeaders.Add)+len(m.ResponseHeaders.Remove) > 0},
		{"user_agent_filter", len(m.AllowUserAgents)+len(m.DenyUserAgents) > 0},
	} {
		if o.set {
			c.report(o.key, fault.New(fault.OptionInvalid, c.d.label(o.key), "only http endpoints have it"))
		}
	}
}
