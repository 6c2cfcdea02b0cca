package mux

import "sync/atomic"

// Window is the credit with which each direction of each stream starts, in
// bytes. Both ends assume it; it is never negotiated.
const Window = 256 << 10

// MaxHead is the most that Session.Open takes to send with the frame that opens
// a stream, in bytes.
const MaxHead = 16 << 10

// shortWindow is what a stream may hold and receive while memory is short.
const shortWindow = 64 << 10

// Role tells which stream ids an end uses.
type Role uint8

// The roles. The end that dialled the transport is the client.
const (
	Client Role = iota
	Server
)

// Config sets the bounds of a session. The zero value is a client with the
// defaults.
type Config struct {
	Role Role
	// Backlog is how many streams opened by the peer may wait for Accept; more
	// are reset with AcceptQueueFull. Default 128.
	Backlog int
	// MaxStreams is how many streams the peer may have open at once; more are
	// reset with StreamRefused. Default 10 000.
	MaxStreams int
	// MaxUnread is how much memory, in bytes, received data may take that
	// waits unread in the whole session. From a quarter of it on, streams whose
	// readers are slow get less credit; beyond it the stream that holds most is
	// aborted, so that readers that stall cannot take the memory of the others.
	// Default 64 MiB.
	MaxUnread int64
	// Budget, where set, bounds unread data over many sessions in the same way.
	Budget *Budget
	// Ended, where set, is called by Run as soon as the session has ended,
	// before it winds down, which may take as long as a peer needs to hear it.
	Ended func()
}

func (c Config) withDefaults() Config {
	if c.Backlog <= 0 {
		c.Backlog = 128
	}
	if c.MaxStreams <= 0 {
		c.MaxStreams = 10_000
	}
	if c.MaxUnread <= 0 {
		c.MaxUnread = 64 << 20
	}
	return c
}

// Budget bounds the unread data of all sessions that share it.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{max: bytes} }

// Used returns the memory that unread data takes now, in bytes.
func (b *Budget) Used() int64 { return b.used.Load() }

// add changes the use and reports whether it is within the bound.
func (b *Budget) add(n int64) bool {
	if b == nil {
		return true
	}
	return b.used.Add(n) <= b.max
}

// pressed reports whether a good part of the budget is used.
func (b *Budget) pressed() bool { return b != nil && b.used.Load() > b.max/4 }
