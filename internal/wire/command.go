package wire

// SrvInfo asks for facts about the server, before or after Auth.
type SrvInfo struct{}

// SrvInfoResp answers [SrvInfo].
type SrvInfoResp struct {
	// Region is where the server runs.
	Region string
}

// Stop asks the agent to end. It is answered with [ErrorResp].
type Stop struct{}

// Restart asks the agent to restart itself. It is answered with [ErrorResp].
type Restart struct{}

// Update asks the agent to replace itself. It is answered with [ErrorResp].
type Update struct {
	// Version is the version wanted, empty for the newest.
	Version string
	// PermitMajorVersion allows a change of major version.
	PermitMajorVersion bool
}

// StopTunnel ends one endpoint of an agent while the session stays. It has no
// answer, and the agent sends no [Unbind] afterwards.
type StopTunnel struct {
	// Id is the id of the bind.
	Id string //nolint:revive // the wire spells it so
	// Message says why, ErrorCode is its code.
	Message, ErrorCode string
}

// PatchTunnelState changes an endpoint in place. A nil field is left as it is.
// It is answered with [ErrorResp].
type PatchTunnelState struct {
	// TunnelId is the id from BindResp.Extra.TunnelID.
	TunnelId string //nolint:revive // the wire spells it so
	// Name, Description, Metadata and TrafficPolicy replace the endpoint's.
	Name, Description, Metadata, TrafficPolicy *string `json:",omitempty"`
	// PoolingEnabled replaces the endpoint's.
	PoolingEnabled *bool `json:",omitempty"`
}

// ErrorResp answers requests that have no result of their own.
type ErrorResp struct {
	// Error is empty on success.
	Error string
}
