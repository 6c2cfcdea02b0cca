package culvert

import (
	"crypto/tls"
	"encoding/json"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// EndpointOption is a setting for Listen and Forward.
type EndpointOption func(*endpointOptions)

// endpointOptions are the settings of one endpoint.
type endpointOptions struct {
	url, name, description, metadata, policy string
	bindings                                 []string
	pooling                                  bool
	agentTLS                                 *tls.Config
	server                                   serverOptions
	modules                                  wire.Modules

	proto      string // from url
	upstream   *Upstream
	forwardsTo string
}

// newEndpointOptions applies options and refuses what cannot work. Names and
// addresses are judged by the server, which knows the rules.
func newEndpointOptions(opts []EndpointOption, upstream *Upstream) (endpointOptions, error) {
	o := endpointOptions{upstream: upstream}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if len(o.metadata) > maxMetadata {
		return o, fault.New(fault.MetadataTooLong, len(o.metadata))
	}
	o.proto = "https"
	if scheme, _, ok := strings.Cut(o.url, "://"); ok {
		o.proto = strings.ToLower(scheme)
	} else if o.url == "" && o.agentTLS != nil {
		o.url, o.proto = "tls://", "tls"
	}
	if !slices.Contains([]string{"http", "https", "tcp", "tls"}, o.proto) {
		return o, fault.New(fault.ValueInvalid, o.url, "the endpoint URL", "the scheme must be http, https, tcp or tls")
	}
	if o.agentTLS != nil && o.proto != "tls" && o.proto != "tcp" {
		return o, fault.New(fault.ValueInvalid, o.url, "the endpoint URL",
			"TLS can be terminated at the agent for tls and tcp endpoints only")
	}
	if err := o.checkModules(); err != nil {
		return o, err
	}
	return o, o.server.check(&o)
}

// wireOptions are the options of the bind.
func (o *endpointOptions) wireOptions() (json.RawMessage, error) {
	proxyProto, wanted := o.upstream.proxyVersion(), o.url
	if o.server.subdomain != "" {
		wanted = "" // an address would win over the subdomain
	}
	switch o.proto {
	case "tcp":
		return json.Marshal(wire.TCPOptions{
			URL: o.url, ProxyProto: proxyProto, TrafficPolicy: o.policy, IPRestriction: o.modules.IPRestriction,
		})
	case "tls":
		return json.Marshal(wire.TLSOptions{
			URL: wanted, Subdomain: o.server.subdomain, ProxyProto: proxyProto, TrafficPolicy: o.policy,
			TLSTermination: o.server.termination(), MutualTLSAtEdge: o.server.mutualTLS(),
			IPRestriction: o.modules.IPRestriction,
		})
	default:
		return json.Marshal(wire.HTTPOptions{
			URL: wanted, Subdomain: o.server.subdomain, ProxyProto: proxyProto, TrafficPolicy: o.policy,
			MutualTLSCA: o.server.mutualTLS(), Modules: o.modules,
		})
	}
}

// WithURL sets the endpoint's public URL: https://app.example.com, a bare
// name (https is meant), tcp://, tcp://host:port, tls://host and so on. The
// server fills in what is left open. Default: an https URL with a random name.
func WithURL(urlSpec string) EndpointOption {
	return func(o *endpointOptions) { o.url = urlSpec }
}

// WithName sets a name for people.
func WithName(name string) EndpointOption {
	return func(o *endpointOptions) { o.name = name }
}

// WithBindings sets who can reach the endpoint: "public", "internal" or
// "kubernetes". Default: public, or what the URL's name implies.
func WithBindings(bindings ...string) EndpointOption {
	return func(o *endpointOptions) { o.bindings = append(o.bindings, bindings...) }
}

// WithPoolingEnabled says whether other endpoints may have the same URL and
// share its traffic. Default: no.
func WithPoolingEnabled(pool bool) EndpointOption {
	return func(o *endpointOptions) { o.pooling = pool }
}

// WithDescription sets a description for people.
func WithDescription(desc string) EndpointOption {
	return func(o *endpointOptions) { o.description = desc }
}

// WithMetadata sets text for programs, at most 4096 bytes.
func WithMetadata(meta string) EndpointOption {
	return func(o *endpointOptions) { o.metadata = meta }
}

// WithTrafficPolicy sets the policy document that the server applies, JSON or
// YAML.
func WithTrafficPolicy(policy string) EndpointOption {
	return func(o *endpointOptions) { o.policy = policy }
}

// WithAgentTLSTermination ends TLS in the agent, with this configuration, so
// that the server never sees the content. It is for tls and tcp endpoints.
// Client certificates are asked for as the configuration says.
func WithAgentTLSTermination(config *tls.Config) EndpointOption {
	return func(o *endpointOptions) { o.agentTLS = config }
}
