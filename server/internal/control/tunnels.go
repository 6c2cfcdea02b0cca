package control

import (
	"context"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
)

// tunnels are the endpoints of agents as older clients know them (api.md 2.13).
type tunnels struct {
	unchanging
	live AgentEndpoints
}

// NewTunnels returns the endpoints of agents as tunnels.
func NewTunnels(live AgentEndpoints) Resource { return &tunnels{live: live} }

// Spec returns the table.
func (*tunnels) Spec() *api.Resource { return api.Tunnels() }

// endpointID returns the id of the endpoint of a tunnel; "" for "".
func endpointID(tunnel string) string {
	_, suffix, ok := strings.Cut(tunnel, "_")
	if !ok {
		return ""
	}
	return "ep_" + suffix
}

// Get returns a tunnel.
func (t *tunnels) Get(_ context.Context, caller *Caller, id string) (any, error) {
	e, ok := t.live.Endpoint(endpointID(id))
	if !ok || e.Bound.Account != caller.Account {
		return nil, ErrNotFound
	}
	return showTunnel(caller, e), nil
}

// List returns a page of tunnels, the newest first.
func (t *tunnels) List(_ context.Context, caller *Caller, p Page) (items []any, more bool, err error) {
	page := pageOf{Page: p}
	for _, e := range t.live.Endpoints(caller.Account, endpointID(p.Before)) {
		if err := page.add(showTunnel(caller, e)); err != nil {
			return page.end(err)
		}
	}
	return page.items, false, nil
}

func showTunnel(caller *Caller, e AgentEndpoint) *api.Tunnel {
	b, id := e.Bound, TunnelID(e.Bound.TunnelID)
	return &api.Tunnel{
		ID: id, URI: caller.uri("/tunnels", id), PublicURL: b.URL, Proto: b.Proto, ForwardsTo: b.ForwardsTo,
		Metadata: b.Metadata, Region: e.Region, StartedAt: seconds(e.BoundAt.UTC()),
		TunnelSession: caller.ref("/tunnel_sessions", e.Agent.SessionID), Endpoint: caller.ref("/endpoints", b.TunnelID),
		Labels: map[string]string{}, Backends: []api.Ref{},
	}
}
