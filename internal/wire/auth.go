package wire

import "time"

// Auth is the agent's first request on a session.
type Auth struct {
	// Version lists the protocol versions the agent speaks, best first.
	Version []string
	// ClientId is empty on a new session. On a reconnect, and on an extra leg
	// of a session, it is the id from the last [AuthResp].
	ClientId string //nolint:revive // the wire spells it so
	// Extra holds the rest.
	Extra AuthExtra
}

// AuthExtra is the larger part of [Auth]. Fields that are not listed here are
// accepted and dropped.
type AuthExtra struct {
	// OS and Arch describe the agent's machine as Go names them.
	OS, Arch string
	// Authtoken is the credential, empty if there is none.
	Authtoken string
	// Version is the version of the outermost client program.
	Version string
	// ClientType names that program, such as "ngrok-go".
	ClientType string
	// UserAgent lists all clients, outermost first: "type/version (comment)".
	UserAgent string
	// Hostname is the agent's host name; SDKs leave it empty.
	Hostname string
	// Metadata is the session metadata that the user chose.
	Metadata string
	// Cookie is the last cookie received, empty on a new session.
	Cookie string
	// HeartbeatInterval and HeartbeatTolerance announce the agent's beats, in
	// nanoseconds on the wire.
	HeartbeatInterval, HeartbeatTolerance time.Duration
	// UpdateUnsupportedError, StopUnsupportedError and RestartUnsupportedError
	// say whether a server command may be sent: nil means the agent is too old
	// to know, "" means it is supported, other text says why it is not.
	UpdateUnsupportedError, StopUnsupportedError, RestartUnsupportedError *string
	// ProxyType and ConfigVersion are sent by full agents only.
	ProxyType, ConfigVersion string
	// MutualTLS, ServiceRun, CustomInterface and CustomCAs are sent by full
	// agents only.
	MutualTLS, ServiceRun, CustomInterface, CustomCAs bool
	// LegNumber is 0 for a session's first connection and counts up for
	// further connections of the same session.
	LegNumber uint32
	// Culvert lists the extensions that a Culvert agent understands; nil for
	// all others.
	Culvert *Features `json:",omitempty"`
}

// AuthResp answers [Auth]. Version and ClientId are required by strict
// clients and Extra must not be null, hence plain fields throughout.
type AuthResp struct {
	// Version is the chosen protocol version.
	Version string
	// ClientId is the session's id, to be presented on every reconnect.
	ClientId string //nolint:revive // the wire spells it so
	// Error is the refusal, in the layout of fault.Error.Wire; empty is success.
	Error string
	// Extra holds the rest.
	Extra AuthRespExtra
}

// AuthRespExtra is what the server tells about itself and the session.
type AuthRespExtra struct {
	// Version is the server's version, Region where it runs.
	Version, Region string
	// Cookie is opaque to the agent, which returns it on reconnect.
	Cookie string
	// AccountName, PlanName and Banner are shown to the user.
	AccountName, PlanName, Banner string
	// SessionDuration is the longest life of the session in seconds, 0 for no
	// limit.
	SessionDuration int64
	// DeprecationWarning tells the user that the client will soon be too old.
	DeprecationWarning *Deprecation `json:",omitempty"`
	// ConnectAddresses lists further servers for agents with several legs.
	ConnectAddresses []ConnectAddress `json:",omitempty"`
	// AgentSessionID is the session id shown to applications.
	AgentSessionID string
	// Culvert lists the extensions agreed on; nil if there are none.
	Culvert *Features `json:",omitempty"`
}

// Deprecation is a warning about an old client.
type Deprecation struct {
	// NextMin is the lowest version that will be accepted after NextDate.
	NextMin string
	// NextDate is when that happens.
	NextDate time.Time
	// Msg is the text for the user.
	Msg string
}

// ConnectAddress is one place that agents can connect to.
type ConnectAddress struct {
	// Region names the place, ServerAddr is host:port.
	Region, ServerAddr string
}

// Features are the extensions of Culvert's own agent and server. Either side
// uses one only after both offered it.
type Features struct {
	// FaultRecord: on http and https endpoints the agent may answer a
	// forwarded connection with a fault record; see [AppendFault].
	FaultRecord bool `json:",omitempty"`
	// ReassignURL: a rebind may be answered with another URL, and the agent
	// then takes that one over.
	ReassignURL bool `json:",omitempty"`
}

// Agree returns the extensions that both sides offered. It returns the zero
// value if the other side offered none.
func (f Features) Agree(other *Features) Features {
	if other == nil {
		return Features{}
	}
	return Features{
		FaultRecord: f.FaultRecord && other.FaultRecord,
		ReassignURL: f.ReassignURL && other.ReassignURL,
	}
}
