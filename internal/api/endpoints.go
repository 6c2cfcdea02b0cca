package api

import (
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// The types of endpoints as answers have them.
const (
	// CloudEndpoint is that of endpoints which stand on the server.
	CloudEndpoint = "cloud"
	// EphemeralEndpoint is that of agents' endpoints. Filters may call it agent.
	EphemeralEndpoint = "ephemeral"
)

// Endpoint is an endpoint that stands on the server, or one that an agent has online (api.md 2.1).
type Endpoint struct {
	Meta
	UpdatedAt time.Time `json:"updated_at"`
	// URL is as its owner wrote it; PublicURL and Hostport have the port that clients use.
	URL       string `json:"url"`
	Type      string `json:"type"`
	PublicURL string `json:"public_url"`
	Proto     string `json:"proto"`
	Scheme    string `json:"scheme"`
	Host      string `json:"host"`
	Port      uint16 `json:"port"`
	Hostport  string `json:"hostport"`
	Texts
	Bindings       []string `json:"bindings"`
	PoolingEnabled bool     `json:"pooling_enabled"`
	// TrafficPolicy is byte for byte what its owner gave.
	TrafficPolicy string `json:"traffic_policy"`
	Principal     *Ref   `json:"principal"`
	Domain        *Ref   `json:"domain"`
	TCPAddr       *Ref   `json:"tcp_addr"`
	Edge          *Ref   `json:"edge"`
	// The rest is of agents' endpoints.
	Tunnel           *Ref   `json:"tunnel"`
	TunnelSession    *Ref   `json:"tunnel_session"`
	Name             string `json:"name"`
	Region           string `json:"region"`
	UpstreamURL      string `json:"upstream_url"`
	UpstreamProtocol string `json:"upstream_protocol"`
	// Warnings are in answers to writes: what is accepted and perhaps not meant.
	Warnings []string `json:"warnings,omitempty"`
}

// Endpoints is the table of endpoints.
func Endpoints() *Resource {
	const invalid = fault.EndpointFieldInvalid
	return &Resource{
		Name: "endpoint", Path: "/endpoints", ListKey: "endpoints", Prefix: "ep", Verbs: crud(),
		Fields: append([]Field{
			{Name: "url", Create: Required, Update: Optional, Max: 4096, Missing: fault.EndpointFieldMissing, Invalid: invalid, Doc: "where it is reached, like https://app.example.com; the scheme cannot be changed"},
			{Name: "type", Create: Optional, Enum: []string{CloudEndpoint}, Invalid: fault.EndpointTypeInvalid, Doc: "cloud; endpoints of agents are ephemeral"},
			{Name: "traffic_policy", Create: Required, Update: Optional, Max: MaxPolicy, Missing: fault.EndpointPolicyMissing, Invalid: invalid, Doc: "the policy that answers every request, in YAML or JSON"},
			{Name: "bindings", Type: Strings, Create: Optional, Update: Optional, Invalid: invalid, Doc: "public or internal; if it is absent the URL decides"},
			{Name: "pooling_enabled", Type: Bool, Create: Optional, Update: Optional, Invalid: invalid, Doc: "whether other endpoints may share the URL"},
			{Name: "public_url", Doc: "the URL with the port that clients use"},
			{Name: "proto", Doc: "its scheme"},
			{Name: "scheme", Doc: "its scheme"},
			{Name: "host", Doc: "the host of its URL"},
			{Name: "port", Type: Number, Doc: "the port that clients use"},
			{Name: "hostport", Doc: "host and port that clients use"},
			{Name: "principal", Type: RefType, Doc: "who made it"},
			{Name: "domain", Type: RefType, Doc: "the reserved domain that its name comes under"},
			{Name: "tcp_addr", Type: RefType, Doc: "the reserved TCP address"},
			{Name: "edge", Type: RefType, Doc: "always null"},
			{Name: "tunnel", Type: RefType, Doc: "the tunnel of an agent's endpoint"},
			{Name: "tunnel_session", Type: RefType, Doc: "the session of its agent"},
			{Name: "name", Doc: "the name in the agent's configuration"},
			{Name: "region", Doc: "where the agent is connected"},
			{Name: "upstream_url", Doc: "where the agent sends the traffic"},
			{Name: "upstream_protocol", Doc: "http1 or http2"},
			{Name: "updated_at", Type: Time, Doc: "when it was changed last"},
			{Name: "warnings", Type: Strings, Doc: "in answers to writes: what is accepted and perhaps not meant"},
		}, texts(fault.DescriptionTooLong, fault.EndpointMetadataLong)...),
		Filter: []string{
			"id", "created_at", "description", "metadata", "principal.id", "type", "bindings", "url", "pooling_enabled",
			"scheme", "region", "name",
		},
		EmptyUpdate: fault.EndpointUpdateEmpty,
		Answer:      Endpoint{}, AnyOf: []string{"id", "url"},
		Doc: "An endpoint is a URL that the server serves: by itself with a policy, or through an agent.",
	}
}
