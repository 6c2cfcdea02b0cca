package sshd

import (
	"cmp"
	"time"
)

// Limits bound what SSH clients may cost. A zero field means its default.
type Limits struct {
	// Connections is how many SSH connections may be open, logged in or not.
	// Default 500.
	Connections int `yaml:"ssh_connections"`
	// Pending is how many of them may be on their way to being logged in.
	// Default 100, or half of Connections if that is less.
	Pending int `yaml:"ssh_pending"`
	// PendingPerSource is the same for one address (IPv4) or /64 (IPv6). Loopback
	// is exempt. Default 10.
	PendingPerSource int `yaml:"ssh_source_pending"`
	// LoginTime is how long logging in may take. Default 30 s.
	LoginTime time.Duration `yaml:"ssh_login_time"`
	// Tries is how many keys and passwords a connection may offer. Default 6.
	Tries int `yaml:"ssh_auth_tries"`
	// Failures is how many wrong passwords an address may send in a minute before
	// further ones are refused unheard. Loopback is exempt. Default 10.
	Failures int `yaml:"ssh_auth_failures"`
	// SetupTime is how long a client may take from being logged in to its command
	// and its first forward. Default 10 s.
	SetupTime time.Duration `yaml:"ssh_setup_time"`
	// Forwards is how many forwards a connection may have. Default 20.
	Forwards int `yaml:"ssh_forwards"`
	// Streams is how many public connections one SSH connection carries at once.
	// A client may keep 2 MiB of data that nobody reads in each. Default 100.
	Streams int `yaml:"ssh_streams"`
	// AllStreams is the same for all of them together. Default 1000.
	AllStreams int `yaml:"ssh_all_streams"`
	// KeepAlive is how often a client is asked whether it is there. Default 15 s.
	KeepAlive time.Duration `yaml:"ssh_keep_alive"`
	// Silence is how long it may take to answer. Default 30 s.
	Silence time.Duration `yaml:"ssh_silence"`
}

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	conns := cmp.Or(l.Connections, 500)
	return Limits{
		Connections:      conns,
		Pending:          cmp.Or(l.Pending, min(100, max(1, conns/2))),
		PendingPerSource: cmp.Or(l.PendingPerSource, 10),
		LoginTime:        cmp.Or(l.LoginTime, 30*time.Second),
		Tries:            cmp.Or(l.Tries, 6),
		Failures:         cmp.Or(l.Failures, 10),
		SetupTime:        cmp.Or(l.SetupTime, 10*time.Second),
		Forwards:         cmp.Or(l.Forwards, 20),
		Streams:          cmp.Or(l.Streams, 100),
		AllStreams:       cmp.Or(l.AllStreams, 1000),
		KeepAlive:        cmp.Or(l.KeepAlive, 15*time.Second),
		Silence:          cmp.Or(l.Silence, 30*time.Second),
	}
}
