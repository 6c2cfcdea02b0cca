package config

import (
	"slices"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Definition is one endpoint in words: what an entry of the file or a command
// line says, before anything is parsed. File paths are relative to Dir.
type Definition struct {
	Name string
	// Kind is the verb: HTTP allows http and https URLs, TCP and TLS their own.
	// Empty allows all; the URL decides, https if it does not.
	Kind        endpoint.Scheme
	URL         string
	Subdomain   string   // label under the server's base domain, in place of a host in URL
	Schemes     []string // older tunnels: http, https or both
	Bindings    []string
	Pooling     bool
	Description string
	Metadata    string

	Upstream      string
	Protocol      string // "", http1, http2
	ProxyProtocol string // "", 1, 2, v1, v2
	TLSVerify     bool
	TLSVerifyCAs  string
	TLSClientCert string
	TLSClientKey  string
	TLSServerName string
	HostHeader    string // "", preserve, rewrite or the value

	TerminateAt string // "", edge, agent, upstream
	Certificate string // of the endpoint, path or PEM
	Key         string
	ClientCAs   []string // of the endpoint's clients, paths or PEM
	TLSMin      string
	TLSMax      string

	// At most one of these is set: the text of a policy, the path of a file with
	// one, or the URL of one.
	Policy, PolicyFile, PolicyURL string

	// Modules are what the server makes rules of, by older flags and keys.
	Modules culvert.Modules

	// Refused holds what was asked for and is not built yet, by key.
	Refused []Issue
	// Dir is the folder that relative paths start from; empty: the working
	// directory.
	Dir string
	// Labels gives the names under which the definition's keys were written,
	// where they differ from those of an endpoints entry.
	Labels map[string]string

	older bool // from the map tunnels
}

// Issue is a mistake in a definition or in settings.
type Issue struct {
	Key string // as an endpoints entry or the section agent names it
	Err error  // a *fault.Error
}

// label returns the name under which the user wrote key.
func (d *Definition) label(key string) string {
	if l, ok := d.Labels[key]; ok {
		return l
	}
	return key
}

// Definition returns the entry in the common form.
func (e Endpoint) definition(dir string) Definition {
	d := Definition{
		Name: e.Name, URL: e.URL, Bindings: slices.Clone(e.Bindings), Pooling: e.PoolingEnabled,
		Description: e.Description, Metadata: e.Metadata,
		Upstream: string(e.Upstream.URL), Protocol: e.Upstream.Protocol, ProxyProtocol: string(e.Upstream.ProxyProtocol),
		TLSVerify: e.Upstream.TLSVerify != nil && *e.Upstream.TLSVerify, TLSVerifyCAs: e.Upstream.TLSVerifyCAs,
		TLSClientCert: e.Upstream.TLSClientCertificate, TLSClientKey: e.Upstream.TLSClientKey, TLSServerName: e.Upstream.TLSServerName,
		HostHeader: e.Upstream.HostHeader, Dir: dir,
	}
	if e.Binding != "" {
		d.Bindings = append(d.Bindings, e.Binding)
	}
	if t := e.AgentTLS; t != nil {
		d.TerminateAt, d.Certificate, d.Key, d.ClientCAs = "agent", t.Certificate, t.Key, t.ClientCAs
		d.TLSMin, d.TLSMax = string(t.MinVersion), string(t.MaxVersion)
	}
	d.Policy, d.PolicyFile, d.PolicyURL = string(e.TrafficPolicy), e.TrafficPolicyFile, e.TrafficPolicyURL
	return d
}

// tunnelLabels maps the keys of endpoints entries to those of tunnels entries.
var tunnelLabels = map[string]string{
	"upstream.url":                                             "addr",
	"upstream.protocol":                                        "app_protocol",
	"upstream.proxy_protocol":                                  "proxy_proto",
	"upstream.host_header":                                     "host_header",
	"agent_tls_termination.server_certificate":                 "crt",
	"agent_tls_termination.server_private_key":                 "key",
	"agent_tls_termination.mutual_tls_certificate_authorities": "mutual_tls_cas",
}

// definition returns the older entry in the common form.
func (t Tunnel) definition(name, dir string) Definition {
	d := Definition{
		Name: name, Kind: endpoint.Scheme(t.Proto), Subdomain: t.Subdomain, Schemes: t.Schemes, Metadata: t.Metadata,
		Upstream: string(t.Addr), Protocol: t.AppProto, ProxyProtocol: string(t.ProxyProt), HostHeader: t.HostHdr,
		TerminateAt: t.Terminate, Certificate: t.Crt, Key: t.Key, Dir: dir, Labels: tunnelLabels,
	}
	if t.MutualTLS != "" {
		d.ClientCAs = []string{t.MutualTLS}
	}
	switch d.Policy = string(t.TrafficPolicy); {
	case t.Policy == "":
	case d.Policy != "":
		d.Refused = append(d.Refused, Issue{"policy", fault.New(fault.PolicyTwice)})
	default:
		d.Policy = string(t.Policy)
		d.Labels = withLabel(d.Labels, keyPolicy, "policy")
	}
	d.Modules = t.modules()
	d.refuseTunnel(t)
	for _, host := range []struct{ key, value string }{{"domain", t.Domain}, {"hostname", t.Hostname}, {"remote_addr", t.Remote}} {
		switch {
		case host.value == "":
		case d.URL != "":
			d.Refused = append(d.Refused, Issue{host.key, fault.New(fault.OptionConflict, host.key, d.label("url"))})
		default:
			d.URL = host.value
			d.Labels = withLabel(d.Labels, "url", host.key)
		}
	}
	return d
}

// refuseTunnel notes what the entry asks for and the server cannot do yet.
func (d *Definition) refuseTunnel(t Tunnel) {
	if len(t.Labels) > 0 {
		d.Refused = append(d.Refused, Issue{"labels", fault.New(fault.LabelsNotSupported)})
	}
	for _, o := range []struct {
		key   string
		value any
	}{
		{"oauth", t.OAuth},
		{"oidc", t.OIDC},
		{"verify_webhook", t.VerifyWebhook},
		{"websocket_tcp_converter", t.WSConverter},
	} {
		if o.value != nil && o.value != false {
			d.Refused = append(d.Refused, Issue{o.key, fault.New(fault.OptionNotBuilt, o.key)})
		}
	}
}

// withLabel returns the labels with one more, leaving the given map alone.
func withLabel(labels map[string]string, key, label string) map[string]string {
	out := map[string]string{key: label}
	for k, v := range labels {
		if k != key {
			out[k] = v
		}
	}
	return out
}
