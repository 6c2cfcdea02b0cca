package control

import (
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// AgentEndpoint is an endpoint that an agent has online.
type AgentEndpoint struct {
	// Bound does not change.
	Bound   *wire.Bound
	Agent   wire.Agent
	BoundAt time.Time
	// Region is where the agent is connected.
	Region string
}

// AgentEndpoints knows what agents have online.
type AgentEndpoints interface {
	// Endpoints returns those of an account whose ids are less than before, or all if that is "", by
	// descending ids.
	Endpoints(account, before string) []AgentEndpoint
	// Endpoint returns one by its id.
	Endpoint(id string) (AgentEndpoint, bool)
}

// TunnelID returns the id of the tunnel of an agent's endpoint. Both share what follows their prefixes (api.md
// 1.4).
func TunnelID(endpointID string) string {
	_, suffix, _ := strings.Cut(endpointID, "_")
	return "tn_" + suffix
}

// showOnline returns an agent's endpoint as callers see it.
func (e *endpoints) showOnline(caller *Caller, on AgentEndpoint) *api.Endpoint {
	b := on.Bound
	at := seconds(on.BoundAt.UTC())
	a := &api.Endpoint{
		Meta:      api.Meta{ID: b.TunnelID, URI: caller.uri("/endpoints", b.TunnelID), CreatedAt: at},
		UpdatedAt: at, Type: api.EphemeralEndpoint, URL: b.URL,
		Texts: api.Texts{Description: b.Description, Metadata: b.Metadata}, PoolingEnabled: b.Pooled,
		Tunnel:        caller.ref("/tunnels", TunnelID(b.TunnelID)),
		TunnelSession: caller.ref("/tunnel_sessions", on.Agent.SessionID),
		Name:          b.Name, Region: on.Region, UpstreamURL: b.ForwardsTo,
	}
	if owner := on.Agent.Principal; owner != "" {
		ref := principal(owner)
		a.Principal = &ref
	}
	a.TrafficPolicy, _ = claims.PolicyOf(b.Opts) // it was read when it was bound
	e.derive(caller, a, endpoint.URL{Scheme: endpoint.Scheme(b.Scheme), Host: b.Host, Port: b.Port})
	switch {
	case b.HTTP2:
		a.UpstreamProtocol = "http2"
	case endpoint.Scheme(b.Scheme).IsHTTP():
		a.UpstreamProtocol = "http1"
	}
	return a
}
