package cli

import (
	"strings"

	"github.com/spf13/pflag"

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
	basicAuth                   []string
}

// notBuilt are the flags whose effect would have to come from the server's
// traffic policies. They are refused until those exist, never ignored.
var notBuilt = []string{
	"basic-auth", "circuit-breaker", "compression",
	"request-header-add", "request-header-remove", "response-header-add", "response-header-remove",
	"oauth", "oauth-allow-domain", "oauth-allow-email", "oauth-scope", "oauth-client-id", "oauth-client-secret",
	"oidc", "oidc-client-id", "oidc-client-secret", "oidc-scope",
	"verify-webhook", "verify-webhook-secret", "ua-filter-allow", "ua-filter-deny", "websocket-tcp-converter",
}

// register defines the older flags of a verb.
func (f *olderFlags) register(v verb) {
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
		for _, name := range notBuilt {
			if name == "basic-auth" {
				fl.StringArrayVar(&f.basicAuth, name, nil, "")
				continue
			}
			fl.StringArray(name, nil, "")
		}
		for _, name := range []string{"compression", "websocket-tcp-converter"} {
			fl.Lookup(name).NoOptDefVal = "true"
		}
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
