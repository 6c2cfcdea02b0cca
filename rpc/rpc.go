package rpc

// The methods a [Request] can have.
const (
	// StopAgentMethod asks the agent to end. After the handler has returned
	// without an error the session is closed and not opened again.
	StopAgentMethod = "StopAgent"
	// RestartAgentMethod asks the agent to start anew. After the handler has
	// returned without an error the session is closed; starting again is the
	// application's part.
	RestartAgentMethod = "RestartAgent"
	// UpdateAgentMethod asks the agent to replace itself by another version.
	UpdateAgentMethod = "UpdateAgent"
)

// Request is one command.
type Request interface {
	// Method returns one of the constants of this package.
	Method() string
}
