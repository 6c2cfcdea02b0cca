package control

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/wire"
)

// Sessions knows the agents that are connected, and asks them for things.
type Sessions interface {
	// Agents returns each session once, in no order.
	Agents() []wire.Agent
	// StopSession, RestartSession and UpdateSession ask an agent, by the id of its session. They return once it
	// has agreed; their errors are faults.
	StopSession(ctx context.Context, id string) error
	RestartSession(ctx context.Context, id string) error
	UpdateSession(ctx context.Context, id, version string, major bool) error
}

// sessions are the connected agents. Nothing of them is stored.
type sessions struct {
	unchanging
	*Shared
	live   Sessions
	gone   error
	region string
}

// NewTunnelSessions returns the connected agents as a resource. gone is the error of live for a session that has
// ended, region where agents connect.
func NewTunnelSessions(s *Shared, live Sessions, gone error, region string) Resource {
	return &sessions{Shared: s, live: live, gone: gone, region: region}
}

// Spec returns the table.
func (*sessions) Spec() *api.Resource { return api.TunnelSessions() }

// Get returns a session.
func (s *sessions) Get(_ context.Context, caller *Caller, id string) (any, error) {
	a, ok := s.find(caller, id)
	if !ok {
		return nil, ErrNotFound
	}
	return s.show(caller, a), nil
}

func (s *sessions) find(caller *Caller, id string) (wire.Agent, bool) {
	all := s.live.Agents()
	i := slices.IndexFunc(all, func(a wire.Agent) bool { return a.SessionID == id && a.Account == caller.Account })
	if i < 0 {
		return wire.Agent{}, false
	}
	return all[i], true
}

// List returns a page of sessions, the newest first.
func (s *sessions) List(_ context.Context, caller *Caller, p Page) (items []any, more bool, err error) {
	all := slices.DeleteFunc(s.live.Agents(), func(a wire.Agent) bool {
		return a.Account != caller.Account || p.Before != "" && a.SessionID >= p.Before
	})
	slices.SortFunc(all, func(a, b wire.Agent) int { return strings.Compare(b.SessionID, a.SessionID) })
	page := pageOf{Page: p}
	for _, a := range all {
		if err := page.add(s.show(caller, a)); err != nil {
			return page.end(err)
		}
	}
	return page.end(nil)
}

// show returns a session as callers see it.
func (s *sessions) show(caller *Caller, a wire.Agent) *api.TunnelSession {
	x := a.Auth.Extra
	transport, credentials := "ngrok/2", "/credentials"
	if a.Family == wire.FamilySSH {
		transport = "ssh"
	}
	if strings.HasPrefix(a.TokenID, api.SSHCredentials().Prefix+"_") {
		credentials = "/ssh_credentials"
	}
	return &api.TunnelSession{
		ID: a.SessionID, URI: caller.uri("/tunnel_sessions", a.SessionID), AgentVersion: x.Version,
		Credential: caller.ref(credentials, a.TokenID), IP: a.Addr.Addr().Unmap().String(), Metadata: x.Metadata, OS: x.OS,
		Region: s.region, StartedAt: id.TimeOf(a.SessionID), Transport: transport,
	}
}

// Act asks the agent of a session for something.
func (s *sessions) Act(ctx context.Context, caller *Caller, id, action string, body []byte) (any, error) {
	if _, ok := s.find(caller, id); !ok {
		return nil, ErrNotFound
	}
	spec := s.Spec()
	i := slices.IndexFunc(spec.Actions, func(a api.Action) bool { return a.Name == action })
	if i < 0 {
		return nil, ErrNotFound
	}
	set, err := decodeBody(spec.Actions[i].Fields, body, true)
	if err != nil {
		return nil, err
	}
	switch action {
	case api.StopAction:
		err = s.live.StopSession(ctx, id)
	case api.RestartAction:
		err = s.live.RestartSession(ctx, id)
	default:
		var version string
		if raw, ok := set["version"]; ok {
			if err := json.Unmarshal(raw, &version); err != nil {
				return nil, err
			}
		}
		err = s.live.UpdateSession(ctx, id, version, true)
	}
	if errors.Is(err, s.gone) {
		return nil, ErrNotFound
	}
	if err == nil {
		err = s.update(ctx, caller, func(c *change) error {
			return audit(c, "tunnel_session_"+action, nil, map[string]string{"id": id})
		})
	}
	return nil, err
}

// unchanging are the verbs of what the API only shows.
type unchanging struct{}

// Create refuses.
func (unchanging) Create(context.Context, *Caller, []byte) (any, error) { return nil, ErrNotFound }

// Update refuses.
func (unchanging) Update(context.Context, *Caller, string, []byte) (any, error) {
	return nil, ErrNotFound
}

// Delete refuses.
func (unchanging) Delete(context.Context, *Caller, string) error { return ErrNotFound }
