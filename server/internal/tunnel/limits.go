package tunnel

import (
	"cmp"
	"math"
	"time"
)

// Limits bound what agents may cost (reliability-security.md 9.3). A zero field
// means its default.
type Limits struct {
	// Connections is how many connections of agents may be open, authenticated
	// or not. Beyond it none is taken until one ends. Default: no limit of its
	// own; a node gives agents their share of the descriptors.
	Connections int `yaml:"agent_connections"`
	// AuthTimeout is how long an agent may take from connecting to the end of
	// authentication, TLS included. Default 15 s.
	AuthTimeout time.Duration `yaml:"agent_auth_timeout"`
	// AuthBytes is how many bytes an agent may send before it is authenticated,
	// TLS excluded. Default 64 KiB.
	AuthBytes int64 `yaml:"agent_auth_bytes"`
	// Pending is how many connections may be on their way to authentication at
	// once. Default 1000, or a quarter of Connections if that is less.
	Pending int `yaml:"agent_pending"`
	// Queue is how many more may wait for their turn, as long as AuthTimeout
	// lets them. Default 10 000, or a quarter of Connections if that is less: who
	// never authenticates leaves room for those who do.
	Queue int `yaml:"agent_queue"`
	// PendingPerSource bounds both together for one address (IPv4) or /64
	// (IPv6). Loopback is exempt. Default 20.
	PendingPerSource int `yaml:"agent_source_pending"`
	// AuthFailures is how many refused tokens an address may present in a minute
	// before its next attempts are held for AuthDelay and then cut off unheard.
	// Loopback is exempt. Default 10.
	AuthFailures int `yaml:"agent_auth_failures"`
	// TokenFailures is the same for all tokens that begin alike. Default 20.
	TokenFailures int `yaml:"agent_token_failures"`
	// AuthDelay is how long an attempt above these rates is held. Default 5 s.
	AuthDelay time.Duration `yaml:"agent_auth_delay"`
	// Endpoints is how many endpoints a session may have. Default 1000.
	Endpoints int `yaml:"agent_endpoints"`
	// Streams is how many connections one leg carries at once. Default 10 000.
	Streams int `yaml:"agent_streams"`
	// RustStreams is the same for the Rust family, whose sessions die at 512
	// (agent-protocol.md 13, H5). Default 500.
	RustStreams int `yaml:"agent_rust_streams"`
	// Unacked is how many connections may wait for an agent's first sign of
	// having taken them (H7, H19). Default 100.
	Unacked int `yaml:"agent_unacked_streams"`
	// AckWait is how long a connection waits for room below Streams and Unacked
	// before it is refused. Default 1 s.
	AckWait time.Duration `yaml:"agent_stream_wait"`
	// Waiting is how many connections may wait so on one leg. Default 1000.
	Waiting int `yaml:"agent_waiting_streams"`
	// Unread is how much memory, in bytes, received data of one session may take
	// that nobody has read yet; see mux.Config.MaxUnread. Default 64 MiB.
	Unread int64 `yaml:"agent_unread"`
	// AllUnread is the same for all sessions together. Default 256 MiB.
	AllUnread int64 `yaml:"agents_unread"`
	// Metadata is the largest session metadata in bytes. Default 4096.
	Metadata int `yaml:"agent_metadata"`
	// Command is how long an agent may take to answer a command (H16).
	// Default 5 s.
	Command time.Duration `yaml:"agent_command_timeout"`
	// Linger is how long a refused agent may take to read its answer.
	// Default 1 s.
	Linger time.Duration `yaml:"agent_linger"`
}

// Fixed returns the limits that hold for as long as a server runs; those that [Server.SetLimits] changes are zero in
// it.
func (l Limits) Fixed() Limits {
	return Limits{
		Connections: l.Connections, Pending: l.Pending, Queue: l.Queue, PendingPerSource: l.PendingPerSource,
		AuthFailures: l.AuthFailures, TokenFailures: l.TokenFailures, AllUnread: l.AllUnread,
	}
}

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	conns := cmp.Or(l.Connections, math.MaxInt)
	return Limits{
		Connections:      conns,
		AuthTimeout:      cmp.Or(l.AuthTimeout, 15*time.Second),
		AuthBytes:        cmp.Or(l.AuthBytes, 64<<10),
		Pending:          cmp.Or(l.Pending, min(1000, max(1, conns/4))),
		Queue:            cmp.Or(l.Queue, min(10_000, max(1, conns/4))),
		PendingPerSource: cmp.Or(l.PendingPerSource, 20),
		AuthFailures:     cmp.Or(l.AuthFailures, 10),
		TokenFailures:    cmp.Or(l.TokenFailures, 20),
		AuthDelay:        cmp.Or(l.AuthDelay, 5*time.Second),
		Endpoints:        cmp.Or(l.Endpoints, 1000),
		Streams:          cmp.Or(l.Streams, 10_000),
		RustStreams:      cmp.Or(l.RustStreams, 500),
		Unacked:          cmp.Or(l.Unacked, 100),
		AckWait:          cmp.Or(l.AckWait, time.Second),
		Waiting:          cmp.Or(l.Waiting, 1000),
		Unread:           cmp.Or(l.Unread, 64<<20),
		AllUnread:        cmp.Or(l.AllUnread, 256<<20),
		Metadata:         cmp.Or(l.Metadata, 4096),
		Command:          cmp.Or(l.Command, 5*time.Second),
		Linger:           cmp.Or(l.Linger, time.Second),
	}
}
