package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// endpointFlags are the flags of http, tcp and tls.
type endpointFlags struct {
	session sessionFlags

	url, name, description, metadata string
	bindings                         []string
	pooling, inspect                 bool
	policyFile, policyURL            string
	protocol, proxyProtocol          string
	hostHeader                       string
	tlsVerify                        bool
	tlsVerifyCAs                     string
	crt, key, clientCAs              string
	modules                          culvert.Modules

	older olderFlags
}

// defaultName is the name of an endpoint that the command line starts.
const defaultName = "command_line"

// verb describes one of the commands http, tcp and tls.
type verb struct {
	kind     endpoint.Scheme
	fallback string // upstream when none is given
	cmd      *cobra.Command
}

func (p *Program) httpCommand() *cobra.Command {
	return p.endpointCommand(verb{endpoint.HTTP, "80", &cobra.Command{
		Use:   "http [UPSTREAM]",
		Short: "Put a web server online: an https (or http) URL",
		Long: `Put a web server online. UPSTREAM is a port, host:port, an http:// or https:// URL,
file:///DIRECTORY or unix:/SOCKET; without it, port 80 of this machine. Port 443 means
https. The web server need not be up yet.`,
		Example: `  culvert http 8080
  culvert http 8080 --url https://app.example.com
  culvert http 8080 --url http://
  culvert http https://localhost:8443 --upstream-tls-verify-cas ca.pem
  culvert http file:///var/www`,
	}})
}

func (p *Program) tcpCommand() *cobra.Command {
	return p.endpointCommand(verb{endpoint.TCP, "22", &cobra.Command{
		Use:   "tcp [UPSTREAM]",
		Short: "Put a TCP service online: a host and port",
		Long: `Put a TCP service online. UPSTREAM is a port, host:port, tcp://host:port,
tls://host:port or unix:/SOCKET; without it, port 22 of this machine.`,
		Example: `  culvert tcp 22
  culvert tcp db.lan:5432 --url tcp://tunnel.example.com:20001
  culvert tcp 25 --upstream-proxy-protocol 2`,
	}})
}

func (p *Program) tlsCommand() *cobra.Command {
	return p.endpointCommand(verb{endpoint.TLS, "443", &cobra.Command{
		Use:   "tls [UPSTREAM]",
		Short: "Put a TLS service online, end to end or with TLS ending here",
		Long: `Put a TLS service online. The server passes the clients' TLS through to UPSTREAM, which is
a port or host:port; without it, port 443 of this machine. With --crt and --key, TLS ends
in the agent, and UPSTREAM gets plain bytes.`,
		Example: `  culvert tls 8443 --url tls://app.example.com
  culvert tls 8080 --url tls://app.example.com --crt cert.pem --key key.pem
  culvert tls 8080 --crt cert.pem --key key.pem --mutual-tls-cas clients.pem`,
	}})
}

func (p *Program) endpointCommand(v verb) *cobra.Command {
	f := &endpointFlags{}
	v.cmd.GroupID = "run"
	v.cmd.Args = arguments(0, 1, "at most one upstream")
	v.cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.runEndpoint(cmd.Context(), v, f, args) }
	f.register(v)
	f.older.register(v, &f.modules)
	f.session.register(v.cmd)
	return v.cmd
}

// register defines the current flags of a verb.
func (f *endpointFlags) register(v verb) {
	fl := v.cmd.Flags()
	example := map[endpoint.Scheme]string{endpoint.HTTP: "https://app.example.com", endpoint.TCP: "tcp://host:port", endpoint.TLS: "tls://app.example.com"}
	fl.StringVar(&f.url, "url", "", "wanted `URL`, such as "+example[v.kind]+" (default: the server chooses)")
	fl.StringArrayVar(&f.bindings, "binding", nil, "`BINDING`: public, or internal for names in .internal (default: what the URL says)")
	fl.BoolVar(&f.pooling, "pooling-enabled", false, "share the URL with other endpoints that do the same")
	fl.StringVar(&f.policyFile, "traffic-policy-file", "", "`FILE` with the traffic policy, YAML or JSON")
	fl.StringVar(&f.policyURL, "traffic-policy-url", "", "`URL` of the traffic policy, fetched once at start")
	fl.StringVar(&f.name, "name", defaultName, "`NAME` of the endpoint")
	fl.StringVar(&f.description, "description", "", "`TEXT` for people")
	fl.StringVar(&f.metadata, "metadata", "", "`TEXT` for programs")
	fl.StringVar(&f.proxyProtocol, "upstream-proxy-protocol", "", "`VERSION` of the PROXY header to the upstream: 1 or 2 (default none)")
	if v.kind == endpoint.HTTP {
		fl.BoolVar(&f.inspect, "inspect", true, "keep requests for inspection (no effect yet)")
		fl.StringVar(&f.hostHeader, "host-header", "", "`HOST` that the upstream sees: rewrite (its own address), preserve or a name (default preserve)")
		fl.StringVar(&f.protocol, "upstream-protocol", "", "`PROTOCOL` of the upstream: http1 or http2 (default http1)")
	}
	if v.kind != endpoint.TCP {
		fl.BoolVar(&f.tlsVerify, "upstream-tls-verify", false, "verify the certificate of an https:// or tls:// upstream")
		fl.StringVar(&f.tlsVerifyCAs, "upstream-tls-verify-cas", "", "CA `FILE` to verify the upstream with")
		fl.StringVar(&f.clientCAs, "mutual-tls-cas", "", "CA `FILE` that clients' certificates must come from")
	}
	if v.kind == endpoint.TLS {
		fl.StringVar(&f.crt, "crt", "", "certificate `FILE`, to end TLS in the agent")
		fl.StringVar(&f.key, "key", "", "key `FILE` of --crt")
	}
	fl.StringSliceVar(&f.modules.AllowCIDRs, "cidr-allow", nil, "`NETWORK` that may connect, as 10.0.0.0/8 (default: all)")
	fl.StringSliceVar(&f.modules.DenyCIDRs, "cidr-deny", nil, "`NETWORK` that may not, although it is allowed")
	if v.kind == endpoint.HTTP {
		for _, name := range []string{"mutual-tls-cas", "cidr-allow", "cidr-deny"} {
			_ = fl.MarkHidden(name) // just defined
		}
	}
}

// flagLabels maps the keys of an endpoint to the flags that set them.
var flagLabels = map[string]string{
	"url": "--url", "bindings": "--binding", "name": "--name", "subdomain": "--subdomain", "schemes": "--scheme",
	"upstream.url": "the upstream", "upstream.protocol": "--upstream-protocol", "upstream.proxy_protocol": "--upstream-proxy-protocol",
	"upstream.tls_verify": "--upstream-tls-verify", "upstream.tls_verify_cas": "--upstream-tls-verify-cas",
	"upstream.host_header": "--host-header", "terminate_at": "--terminate-at",
	"traffic_policy_file": "--traffic-policy-file", "traffic_policy_url": "--traffic-policy-url",
	"ip_restriction": "--cidr-allow", "basic_auth": "--basic-auth", "circuit_breaker": "--circuit-breaker",
	"agent_tls_termination.server_certificate":                 "--crt",
	"agent_tls_termination.server_private_key":                 "--key",
	"agent_tls_termination.mutual_tls_certificate_authorities": "--mutual-tls-cas",
}

// runEndpoint is the run of http, tcp and tls.
func (p *Program) runEndpoint(ctx context.Context, v verb, f *endpointFlags, args []string) error {
	p.jsonMode = f.session.json || f.session.logFormat == "json"
	d := config.Definition{
		Name: f.name, Kind: v.kind, URL: f.url, Bindings: f.bindings, Pooling: f.pooling, Description: f.description, Metadata: f.metadata,
		Upstream: v.fallback, Protocol: f.protocol, HostHeader: f.hostHeader, ProxyProtocol: f.proxyProtocol, TLSVerify: f.tlsVerify, TLSVerifyCAs: f.tlsVerifyCAs,
		Certificate: f.crt, Key: f.key, PolicyFile: f.policyFile, PolicyURL: f.policyURL, Labels: flagLabels,
		Modules: f.modules,
	}
	if len(args) > 0 {
		d.Upstream = args[0]
	}
	if f.clientCAs != "" {
		d.ClientCAs = []string{f.clientCAs}
	}
	if err := f.refused(v.cmd); err != nil {
		return err
	}
	if err := f.older.apply(p, v, &d); err != nil {
		return err
	}
	specs, issues := d.Compile()
	if len(issues) > 0 {
		return issues[0].Err
	}
	s, err := p.load(v.cmd, &f.session)
	if err != nil {
		return err
	}
	return p.online(ctx, v.cmd, &f.session, s, specs, false)
}

// refused names what was asked for and is not built yet.
func (f *endpointFlags) refused(cmd *cobra.Command) error {
	changed := func(name string) bool {
		flag := cmd.Flags().Lookup(name)
		return flag != nil && flag.Changed
	}
	for _, name := range []string{"traffic-policy-file", "traffic-policy-url", "policy-file"} {
		if changed(name) && cmd.Flags().Lookup(name).Value.String() == "" { // a variable that is not set, in a script
			return fault.New(fault.PolicyUnreadable, "--"+name, "its value is empty")
		}
	}
	for _, name := range notBuilt {
		if changed(name) {
			return fault.New(fault.OptionNotBuilt, "--"+name)
		}
	}
	return nil
}

// deprecated tells the user once that a flag has a better form.
func (p *Program) deprecated(name, instead string) {
	p.warn(fmt.Sprintf("--%s is deprecated; use %s.", name, instead))
}
