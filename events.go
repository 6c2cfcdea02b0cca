package culvert

import "time"

// EventType says what happened.
type EventType int

// The events that the ngrok SDK has too, with the same numbers.
const (
	// EventTypeAgentConnectSucceeded is the type of [EventAgentConnectSucceeded].
	EventTypeAgentConnectSucceeded EventType = iota
	// EventTypeAgentDisconnected is the type of [EventAgentDisconnected].
	EventTypeAgentDisconnected
	// EventTypeAgentHeartbeatReceived is the type of [EventAgentHeartbeatReceived].
	EventTypeAgentHeartbeatReceived
	// EventTypeConnectionOpened is the type of [EventConnectionOpened].
	EventTypeConnectionOpened
	// EventTypeConnectionClosed is the type of [EventConnectionClosed].
	EventTypeConnectionClosed
	// EventTypeHTTPRequestComplete is the type of [EventHTTPRequestComplete].
	EventTypeHTTPRequestComplete
	// EventTypeUpstreamDialComplete is the type of [EventUpstreamDialComplete].
	EventTypeUpstreamDialComplete
	// EventTypeUpstreamTLSHandshakeComplete is the type of
	// [EventUpstreamTLSHandshakeComplete].
	EventTypeUpstreamTLSHandshakeComplete
)

// The events that only Culvert has.
const (
	// EventTypeAgentStateChanged is the type of [EventAgentStateChanged].
	EventTypeAgentStateChanged EventType = iota + 100
	// EventTypeEndpointStateChanged is the type of [EventEndpointStateChanged].
	EventTypeEndpointStateChanged
)

// String returns the type's name.
func (t EventType) String() string {
	switch t {
	case EventTypeAgentConnectSucceeded:
		return "AgentConnectSucceeded"
	case EventTypeAgentDisconnected:
		return "AgentDisconnected"
	case EventTypeAgentHeartbeatReceived:
		return "AgentHeartbeatReceived"
	case EventTypeConnectionOpened:
		return "ConnectionOpened"
	case EventTypeConnectionClosed:
		return "ConnectionClosed"
	case EventTypeHTTPRequestComplete:
		return "HTTPRequestComplete"
	case EventTypeUpstreamDialComplete:
		return "UpstreamDialComplete"
	case EventTypeUpstreamTLSHandshakeComplete:
		return "UpstreamTLSHandshakeComplete"
	case EventTypeAgentStateChanged:
		return "AgentStateChanged"
	case EventTypeEndpointStateChanged:
		return "EndpointStateChanged"
	}
	return "Unknown"
}

// Event is what an [EventHandler] is told. Every event is a pointer to one of
// the Event structs of this package.
type Event interface {
	// EventType tells which one it is.
	EventType() EventType
	// Timestamp returns when it happened.
	Timestamp() time.Time
}

// EventHandler is called for every event, on the goroutine on which it
// happens. It must return quickly, must not wait for anything of the agent,
// and must not call Disconnect: hand longer work to a goroutine or a channel.
// Handlers may be called by several goroutines at once.
type EventHandler func(Event)

// baseEvent is what all events share.
type baseEvent struct {
	typ EventType
	at  time.Time
}

func (e baseEvent) EventType() EventType { return e.typ }
func (e baseEvent) Timestamp() time.Time { return e.at }

func event(t EventType) baseEvent { return baseEvent{typ: t, at: time.Now()} }

// EventAgentConnectSucceeded says that the session is up, at first and again
// after each reconnect.
type EventAgentConnectSucceeded struct {
	baseEvent
	Agent   Agent
	Session AgentSession
}

// EventAgentDisconnected says that the session's connection was lost or
// closed. Error is nil after a Disconnect.
type EventAgentDisconnected struct {
	baseEvent
	Agent   Agent
	Session AgentSession
	Error   error
}

// EventAgentHeartbeatReceived says that the server has echoed a heartbeat.
type EventAgentHeartbeatReceived struct {
	baseEvent
	Agent   Agent
	Session AgentSession
	// Latency is the round trip time.
	Latency time.Duration
}

// EventConnectionOpened says that an endpoint has received a connection.
type EventConnectionOpened struct {
	baseEvent
	Endpoint Endpoint
	// RemoteAddr is the public client, ip:port.
	RemoteAddr string
}

// EventConnectionClosed says that a connection of an endpoint has ended.
type EventConnectionClosed struct {
	baseEvent
	Endpoint Endpoint
	// RemoteAddr is the public client, ip:port.
	RemoteAddr string
	// Duration is how long the connection was open.
	Duration time.Duration
	// BytesIn came from the client, BytesOut went to it.
	BytesIn, BytesOut int64
}

// EventHTTPRequestComplete says that a forwarder has carried one HTTP request
// and its response, or has answered 502 because its upstream cannot be reached.
// It is only sent for http and https endpoints that forward HTTP/1 to an http or
// https upstream.
type EventHTTPRequestComplete struct {
	baseEvent
	Endpoint Endpoint
	// Method and Path are those of the request; Path has no query.
	Method, Path string
	// StatusCode is that of the response.
	StatusCode int
	// Duration runs from the request's head to the end of the response.
	Duration time.Duration
}

// EventUpstreamDialComplete says that a forwarder has dialled its upstream,
// or failed to.
type EventUpstreamDialComplete struct {
	baseEvent
	Endpoint Endpoint
	// Duration includes name resolution and excludes TLS.
	Duration time.Duration
	// Err is the dialler's error, or nil.
	Err error
}

// EventUpstreamTLSHandshakeComplete says that a forwarder has finished a TLS
// handshake with its upstream, or failed to.
type EventUpstreamTLSHandshakeComplete struct {
	baseEvent
	Endpoint Endpoint
	// Duration is that of the handshake alone.
	Duration time.Duration
	// Err is the error of the handshake, or nil.
	Err error
}

// EventAgentStateChanged says that a connection to the server has changed its
// state. It is sent for every leg of a session; see [WithMultiLeg].
type EventAgentStateChanged struct {
	baseEvent
	Agent Agent
	// Session is nil until the first connection is up.
	Session AgentSession
	// Leg describes the connection after the change.
	Leg LegStatus
}

// EventEndpointStateChanged says that an endpoint went online, was refused
// after a reconnect, got another URL, or ended.
type EventEndpointStateChanged struct {
	baseEvent
	Endpoint Endpoint
	// State is the new state.
	State EndpointState
	// Err says why, for [EndpointFailed] and [EndpointClosed]; it may be nil.
	Err error
	// PreviousURL is set if the server gave the endpoint another URL.
	PreviousURL string
}
