package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// olderFlags are flags of earlier versions of the reference agent. They work,
// are hidden, and warn once (reference: agent, 2.2).
type olderFlags struct {
	domain, hostname, subdomain string
	schemes                     []string
	remoteAddr                  string
	proxyProto                  string
	appProtocol                 string
	terminateAt, policyFile     string
	circuitBreaker              float64
}

// notBuilt are the flags whose effect would have to come from actions that the
// server does not have yet. They are refused until those exist, never ignored.
var notBuilt = []string{
	"oauth", "oauth-allow-domain", "oauth-allow-email", "oauth-scope", "oauth-client-id", "oauth-client-secret",
	"oidc", "oidc-client-id", "oidc-client-secret", "oidc-scope",
	"verify-webhook", "verify-webhook-secret", "websocket-tcp-converter",
}

// moduleFlags maps the flags that ask for modules to the actions that policies
// have for it.
var moduleFlags = []struct{ name, action string }{
	{"basic-auth", "basic-auth"},
	{"circuit-breaker", "circuit-breaker"},
	{"compression", "compress-response"},
	{"request-header-add", "add-headers"},
	{"request-header-remove", "remove-headers"},
	{"response-header-add", "add-headers"},
	{"response-header-remove", "remove-headers"},
	{"ua-filter-allow", "deny"},
	{"ua-filter-deny", "deny"},
	{"cidr-allow", restrictIPs},
	{"cidr-deny", restrictIPs},
}

// restrictIPs is the action of the flags that only http has for older ones.
const restrictIPs = "restrict-ips"

// register defines the older flags of a verb. Modules take what they say of
// them.
func (f *olderFlags) register(v verb, m *culvert.Modules) {
	fl := pflag.NewFlagSet("older", pflag.ContinueOnError)
	fl.StringVar(&f.proxyProto, "proxy-proto", "", "")
	fl.StringVar(&f.policyFile, "policy-file", "", "")
	switch v.kind {
	case endpoint.HTTP, endpoint.HTTPS:
		fl.StringVar(&f.domain, "domain", "", "")
		fl.StringVar(&f.hostname, "hostname", "", "")
		fl.StringVar(&f.subdomain, "subdomain", "", "")
		fl.StringSliceVar(&f.schemes, "scheme", nil, "")
		fl.StringVar(&f.appProtocol, "app-protocol", "", "")
		f.registerModules(fl, m)
		for _, name := range notBuilt {
			fl.StringArray(name, nil, "")
		}
		fl.Lookup("websocket-tcp-converter").NoOptDefVal = "true"
	case endpoint.TCP:
		fl.StringVar(&f.remoteAddr, "remote-addr", "", "")
	case endpoint.TLS:
		fl.StringVar(&f.domain, "domain", "", "")
		fl.StringVar(&f.hostname, "hostname", "", "")
		fl.StringVar(&f.subdomain, "subdomain", "", "")
		fl.StringVar(&f.terminateAt, "terminate-at", "", "")
	}
	fl.VisitAll(func(flag *pflag.Flag) {
		flag.Hidden = true
		v.cmd.Flags().AddFlag(flag)
	})
}

// registerModules defines the flags of what the server makes rules of.
func (f *olderFlags) registerModules(fl *pflag.FlagSet, m *culvert.Modules) {
	fl.Float64Var(&f.circuitBreaker, "circuit-breaker", 0, "")
	fl.BoolVar(&m.Compression, "compression", false, "")
	for name, to := range map[string]*[]string{
		"basic-auth":         &m.BasicAuth,
		"request-header-add": &m.RequestHeaders.Add, "request-header-remove": &m.RequestHeaders.Remove,
		"response-header-add": &m.ResponseHeaders.Add, "response-header-remove": &m.ResponseHeaders.Remove,
		"ua-filter-allow": &m.AllowUserAgents, "ua-filter-deny": &m.DenyUserAgents,
	} {
		fl.StringArrayVar(to, name, nil, "")
	}
}

// apply translates the older flags that were given, with a warning for each.
func (f *olderFlags) apply(p *Program, v verb, d *config.Definition) error {
	changed := func(name string) bool {
		flag := v.cmd.Flags().Lookup(name)
		return flag != nil && flag.Changed
	}
	for _, h := range []struct{ name, value string }{{"domain", f.domain}, {"hostname", f.hostname}, {"remote-addr", f.remoteAddr}} {
		if !changed(h.name) {
			continue
		}
		p.deprecated(h.name, "--url")
		if d.URL != "" {
			return fault.New(fault.OptionConflict, "--"+h.name, d.Labels["url"])
		}
		d.URL = h.value
		d.Labels = relabelled(d.Labels, "url", "--"+h.name)
	}
	for _, o := range []struct {
		name, instead string
		to            *string
		value         string
	}{
		{"subdomain", "--url with the whole name", &d.Subdomain, f.subdomain},
		{"proxy-proto", "--upstream-proxy-protocol", &d.ProxyProtocol, f.proxyProto},
		{"app-protocol", "--upstream-protocol", &d.Protocol, f.appProtocol},
		{"terminate-at", "--crt and --key to end TLS here", &d.TerminateAt, f.terminateAt},
	} {
		if !changed(o.name) {
			continue
		}
		p.deprecated(o.name, o.instead)
		if *o.to != "" {
			return fault.New(fault.OptionConflict, "--"+o.name, o.instead)
		}
		*o.to = o.value
	}
	if changed("policy-file") {
		p.deprecated("policy-file", "--traffic-policy-file")
		if d.PolicyFile != "" || d.PolicyURL != "" {
			return fault.New(fault.PolicyTwice)
		}
		d.PolicyFile = f.policyFile
		d.Labels = relabelled(d.Labels, "traffic_policy_file", "--policy-file")
	}
	if changed("scheme") {
		p.deprecated("scheme", "--url http:// or --url https://")
		for _, s := range f.schemes {
			d.Schemes = append(d.Schemes, strings.TrimSpace(s))
		}
	}
	if changed("mutual-tls-cas") && v.kind == endpoint.HTTP {
		p.deprecated("mutual-tls-cas", "a tls endpoint, or a traffic policy once the server supports them")
	}
	return f.applyModules(p, v, d, changed)
}

// applyModules warns of the flags for what policies do today.
func (f *olderFlags) applyModules(p *Program, v verb, d *config.Definition, changed func(string) bool) error {
	for _, m := range moduleFlags {
		if changed(m.name) && (v.kind == endpoint.HTTP || m.action != restrictIPs) {
			p.deprecated(m.name, "the action "+m.action+" in a traffic policy")
		}
	}
	if changed("circuit-breaker") {
		d.Modules.CircuitBreaker = &f.circuitBreaker
	}
	for name, list := range map[string][]string{"cidr-allow": d.Modules.AllowCIDRs, "cidr-deny": d.Modules.DenyCIDRs} {
		if changed(name) && len(list) == 0 { // a variable that is not set, in a script
			return fault.New(fault.ValueInvalid, "", "--"+name, "it is empty")
		}
	}
	return nil
}

// relabelled returns the labels with one changed.
func relabelled(labels map[string]string, key, label string) map[string]string {
	out := make(map[string]string, len(labels))
	for k, l := range labels {
		out[k] = l
	}
	out[key] = label
	return out
}
