package culvert

import "time"

// State is the state of a connection to the server.
type State string

// The states of a connection.
const (
	// StateConnecting is before the first success.
	StateConnecting State = "connecting"
	// StateOnline is when traffic can flow.
	StateOnline State = "online"
	// StateReconnecting is after a connection was lost.
	StateReconnecting State = "reconnecting"
	// StateClosed is after the end of the session.
	StateClosed State = "closed"
)

// LegStatus describes one connection of a session to the server.
type LegStatus struct {
	// Number is 0 for a session's first connection.
	Number int
	// Address is host:port of the server.
	Address string
	// Region is where the server says it runs.
	Region string
	// State is the present state, since Since.
	State State
	Since time.Time
	// Latency is the last round trip time, 0 if none is known.
	Latency time.Duration
	// Err is why the connection was lost or could not be opened, nil when
	// online.
	Err error
	// Attempt counts the failures since the connection was last up.
	Attempt int
	// RetryIn is the wait before the next attempt, 0 when none is due.
	RetryIn time.Duration
}

// AgentStatus is implemented by every [Agent] of this package; use a type
// assertion to reach it. It is what a status view needs.
type AgentStatus interface {
	Agent
	// Legs describes the connections of the session, by number. It is empty
	// when there is neither a session nor an attempt to open one.
	Legs() []LegStatus
}

// EndpointState is the state of an endpoint.
type EndpointState string

// The states of an endpoint.
const (
	// EndpointOnline is when the server has accepted the endpoint. While the
	// session reconnects the endpoint stays in this state.
	EndpointOnline EndpointState = "online"
	// EndpointFailed is when the server has refused the endpoint after a
	// reconnect. It is tried again with growing delays.
	EndpointFailed EndpointState = "failed"
	// EndpointClosed is after its end.
	EndpointClosed EndpointState = "closed"
)

// EndpointStats counts what an endpoint has carried.
type EndpointStats struct {
	// Opened counts all connections, Open those that are open now.
	Opened, Open int64
	// BytesIn came from clients, BytesOut went to them. Forwarded connections
	// count when they end.
	BytesIn, BytesOut int64
}

// EndpointStatus is implemented by every [Endpoint] of this package; use a
// type assertion to reach it.
type EndpointStatus interface {
	Endpoint
	// State returns the present state and, if there is one, the error that
	// led to it.
	State() (EndpointState, error)
	// Stats returns the endpoint's counts.
	Stats() EndpointStats
}
