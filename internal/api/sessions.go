package api

import "time"

// TunnelSession is a connected agent (api.md 2.12).
type TunnelSession struct {
	ID  string `json:"id"`
	URI string `json:"uri"`
	// AgentVersion, OS and Metadata are as the agent says.
	AgentVersion string    `json:"agent_version"`
	Credential   *Ref      `json:"credential"`
	IP           string    `json:"ip"`
	Metadata     string    `json:"metadata"`
	OS           string    `json:"os"`
	Region       string    `json:"region"`
	StartedAt    time.Time `json:"started_at"`
	Transport    string    `json:"transport"`
}

// The actions of tunnel sessions.
const (
	RestartAction = "restart"
	StopAction    = "stop"
	UpdateAction  = "update"
)

// TunnelSessions is the table of tunnel sessions.
func TunnelSessions() *Resource {
	return &Resource{
		Name: "tunnel session", Path: "/tunnel_sessions", ListKey: "tunnel_sessions", Prefix: "ts", Verbs: []Verb{Get, List},
		Actions: []Action{
			{Name: RestartAction, Method: "POST", Doc: "have the agent start itself again"},
			{Name: StopAction, Method: "POST", Doc: "have the agent end"},
			{Name: UpdateAction, Method: "POST", Doc: "have the agent replace itself by another version", Fields: []Field{
				{Name: "version", Create: Optional, Max: 64, Doc: "which version; the newest if it is absent"},
			}},
		},
		Fields: []Field{
			{Name: "agent_version", Doc: "the version of the agent"},
			{Name: "credential", Type: RefType, Doc: "the authtoken or SSH credential that the agent has"},
			{Name: "ip", Doc: "where the agent connects from"},
			{Name: "metadata", Doc: "what the agent's owner notes of it"},
			{Name: "os", Doc: "the agent's operating system"},
			{Name: "region", Doc: "where the agent is connected"},
			{Name: "started_at", Type: Time, Doc: "when the agent connected first"},
			{Name: "transport", Doc: "the protocol that the agent speaks"},
		},
		Filter: []string{"id", "metadata", "agent_version", "ip", "os", "region", "started_at", "credential", "credential.id"}, Answer: TunnelSession{},
		Doc: "A tunnel session is a connected agent.",
	}
}

// Tunnel is an endpoint of an agent as older clients know it (api.md 2.13).
type Tunnel struct {
	ID            string    `json:"id"`
	URI           string    `json:"uri"`
	PublicURL     string    `json:"public_url"`
	Proto         string    `json:"proto"`
	ForwardsTo    string    `json:"forwards_to"`
	Metadata      string    `json:"metadata"`
	Region        string    `json:"region"`
	StartedAt     time.Time `json:"started_at"`
	TunnelSession *Ref      `json:"tunnel_session"`
	Endpoint      *Ref      `json:"endpoint"`
	// Labels and Backends are of things that are gone, and empty.
	Labels   map[string]string `json:"labels"`
	Backends []Ref             `json:"backends"`
}

// Tunnels is the table of tunnels.
func Tunnels() *Resource {
	return &Resource{
		Name: "tunnel", Path: "/tunnels", ListKey: "tunnels", Prefix: "tn", Verbs: []Verb{Get, List},
		Fields: []Field{
			{Name: "public_url", Doc: "the URL of the endpoint"},
			{Name: "proto", Doc: "its protocol"},
			{Name: "forwards_to", Doc: "where the agent sends what comes"},
			{Name: "metadata", Doc: "what its owner notes of it"},
			{Name: "region", Doc: "where its agent is connected"},
			{Name: "started_at", Type: Time, Doc: "since when it is online"},
			{Name: "tunnel_session", Type: RefType, Doc: "the session of its agent"},
			{Name: "endpoint", Type: RefType, Doc: "the endpoint"},
			{Name: "labels", Type: Map, Doc: "always empty"},
			{Name: "backends", Type: Refs, Doc: "always empty"},
		},
		Answer: Tunnel{}, Doc: "A tunnel is an endpoint of an agent, as older clients know it; see endpoints.",
	}
}
