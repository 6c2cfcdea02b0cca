package edge

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// Limits bound what public clients may cost. A zero field means its default,
// a negative one no limit (reliability-security.md 9.1).
type Limits struct {
	// Connections is how many public connections may be open. Beyond it
	// nothing is accepted until one ends. Default: no limit of its own; a node
	// gives clients half of its descriptors.
	Connections int `yaml:"connections"`
	// TCPListeners is how many ports Claim keeps open. Default: no limit of
	// its own; a node gives them a share of its descriptors.
	TCPListeners int `yaml:"tcp_listeners"`
	// SourceConnections is how many of them one source may have, an IPv4
	// address or an IPv6 /64; more are closed. Default 2000. Loopback and
	// trusted proxies are exempt.
	SourceConnections int `yaml:"source_connections"`
	// SourceRate is how many connections one source may open in a second, and
	// at once after a pause; more are closed. Default 200.
	SourceRate int `yaml:"source_rate"`
	// SniffTimeout bounds the wait for a PROXY header, and that for a
	// ClientHello. Default 3 s.
	SniffTimeout time.Duration `yaml:"sniff_timeout"`
	// HandshakeTimeout bounds a TLS handshake. Default 60 s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// HandshakeStall bounds the time in it without a byte from the client.
	// Default 10 s.
	HandshakeStall time.Duration `yaml:"handshake_stall"`
	// HeadTimeout bounds the reading of a request's head. Default 60 s.
	HeadTimeout time.Duration `yaml:"head_timeout"`
	// HeadBytes bounds the head of a request. Default 1 MiB.
	HeadBytes int `yaml:"head_bytes"`
	// HeadRate is how many bytes a second the head of an HTTP/1 request has to
	// come at, after its first 5 s. Default 500.
	HeadRate int `yaml:"head_rate"`
	// Fields is how many fields a head may have, Name and Value how many bytes
	// one of them, and Cookies how many cookies are in it. Defaults 500, 256,
	// 64 KiB and 3000.
	Fields  int `yaml:"header_fields"`
	Name    int `yaml:"header_name_bytes"`
	Value   int `yaml:"header_value_bytes"`
	Cookies int `yaml:"cookies"`
	// TrailerBytes and TrailerFields bound a trailer section. Defaults 64 KiB
	// and 100.
	TrailerBytes  int `yaml:"trailer_bytes"`
	TrailerFields int `yaml:"trailer_fields"`
	// Interim is how many interim responses an upstream may send to a request.
	// Default 10.
	Interim int `yaml:"interim_responses"`
	// BodyRate is how many bytes a second a client has to send of a request
	// body while they are waited for, and WriteRate how many it has to take of
	// a response that is there. Who falls a minute behind is cut off; what came
	// faster counts for up to 5 min. BodyRate holds until the response begins,
	// and not for gRPC. Defaults 240.
	BodyRate  int `yaml:"body_rate"`
	WriteRate int `yaml:"write_rate"`
	// IdleTimeout ends connections on which no byte moves either way while a
	// request or stream is under way. Default 5 min.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// KeepAlive is how long a connection is kept for the next request, and
	// KeepAliveFull that while more than half of Connections are open. Defaults
	// 5 min and 1 min.
	KeepAlive     time.Duration `yaml:"keep_alive"`
	KeepAliveFull time.Duration `yaml:"keep_alive_full"`
	// Requests is how many requests a connection takes before it ends, so that
	// long-lived ones spread over the nodes behind a balancer in time. Default
	// 100 000.
	Requests int `yaml:"connection_requests"`
	// Streams is how many requests an HTTP/2 connection may have at once.
	// Default 100.
	Streams int `yaml:"http2_streams"`
	// Waiting is how many requests, and how many connections of tcp and tls,
	// may wait at once for an agent that is expected back. Default 1024.
	Waiting int `yaml:"waiting"`
}

// What stands for no limit where a number or a moment is needed: more than any
// process gets to.
const (
	noLimit = 1 << 30
	forever = 100 * 365 * 24 * time.Hour
)

// withDefaults replaces zeros by the defaults and negative values by noLimit
// and forever, but for those that net/http's server or the watch understand:
// HeadTimeout, IdleTimeout, KeepAlive and the rates stay negative.
func (l Limits) withDefaults() Limits {
	count := func(v int, def int) int {
		if v < 0 {
			return noLimit
		}
		return cmp.Or(v, def)
	}
	wait := func(v, def time.Duration) time.Duration {
		if v < 0 {
			return forever
		}
		return cmp.Or(v, def)
	}
	l.Connections = count(l.Connections, noLimit)
	l.TCPListeners = count(l.TCPListeners, noLimit)
	l.SourceConnections = count(l.SourceConnections, 2000)
	l.SourceRate = count(l.SourceRate, 200)
	l.SniffTimeout = wait(l.SniffTimeout, 3*time.Second)
	l.HandshakeTimeout = wait(l.HandshakeTimeout, time.Minute)
	l.HandshakeStall = wait(l.HandshakeStall, 10*time.Second)
	l.HeadTimeout = cmp.Or(l.HeadTimeout, time.Minute)
	l.HeadBytes = count(l.HeadBytes, 1<<20)
	l.HeadRate = cmp.Or(l.HeadRate, 500)
	l.Fields = count(l.Fields, 500)
	l.Name = count(l.Name, 256)
	l.Value = count(l.Value, 64<<10)
	l.Cookies = count(l.Cookies, 3000)
	l.TrailerBytes = count(l.TrailerBytes, 64<<10)
	l.TrailerFields = count(l.TrailerFields, 100)
	l.Interim = count(l.Interim, 10)
	l.BodyRate = cmp.Or(l.BodyRate, 240)
	l.WriteRate = cmp.Or(l.WriteRate, 240)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 5*time.Minute)
	l.KeepAlive = cmp.Or(l.KeepAlive, 5*time.Minute)
	l.KeepAliveFull = wait(l.KeepAliveFull, time.Minute)
	l.Requests = count(l.Requests, 100_000)
	l.Streams = count(l.Streams, 100)
	l.Waiting = count(l.Waiting, 1024)
	return l
}

// Fixed returns the limits that hold for as long as a server runs; those that
// [Server.SetLimits] changes are zero in it.
func (l Limits) Fixed() Limits {
	l.Connections, l.TCPListeners, l.SourceConnections, l.SourceRate = 0, 0, 0, 0
	l.SniffTimeout, l.HandshakeTimeout, l.HandshakeStall, l.KeepAliveFull = 0, 0, 0, 0
	return l
}

// limiter counts connections, in all and by source.
type limiter struct {
	mu     sync.Mutex
	limits Limits // guarded by mu, as is all below
	open   int
	// waiting counts the connections that were accepted for the last place by
	// several listeners at once.
	waiting int
	freed   chan struct{} // closed when a place gets free; nil while nobody waits
	sources map[netip.Prefix]*source
	sweepAt time.Time
}

// source is what one client has. Its bucket of new connections holds tokens as
// of the time at.
type source struct {
	open   int
	tokens float64
	at     time.Time
}

func newLimiter(l Limits) *limiter {
	return &limiter{limits: l, sources: make(map[netip.Prefix]*source)}
}

// set changes the limits. Who waits for a place looks again.
func (l *limiter) set(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
	if l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
}

// maxWaiting bounds the connections that wait for a place after they were
// accepted: each has a descriptor beyond those that are planned for.
const maxWaiting = 8

// room waits until there is room for one more connection, without taking it.
// Listeners ask before they accept. It returns early if stop is closed.
func (l *limiter) room(stop <-chan struct{}) {
	for {
		l.mu.Lock()
		if l.open+l.waiting < l.limits.Connections {
			l.mu.Unlock()
			return
		}
		freed := l.wake()
		l.mu.Unlock()
		select {
		case <-freed:
		case <-stop:
			return
		}
	}
}

// place takes the room of one connection, waiting for it if another listener
// was faster. It returns false if stop is closed first or too many wait.
func (l *limiter) place(stop <-chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.limits.Connections {
		if l.waiting >= maxWaiting {
			return false
		}
		l.waiting++
		freed := l.wake()
		l.mu.Unlock()
		stopped := false
		select {
		case <-freed:
		case <-stop:
			stopped = true
		}
		l.mu.Lock()
		if l.waiting--; stopped {
			return false
		}
	}
	l.open++
	return true
}

// wake returns the channel that is closed when the next place gets free. It is
// called with mu held.
func (l *limiter) wake() <-chan struct{} {
	if l.freed == nil {
		l.freed = make(chan struct{})
	}
	return l.freed
}

// half reports whether more than half of the places are taken.
func (l *limiter) half() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open > l.limits.Connections/2
}

// leave gives back what place took, and what admit took for from.
func (l *limiter) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
	l.release(from)
}

// leaveSource gives back what admit took for from.
func (l *limiter) leaveSource(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(from)
}

// release is called with mu held.
func (l *limiter) release(from netip.Prefix) {
	if s := l.sources[from]; s != nil {
		s.open--
	}
}

// admit counts a new connection of a source and reports whether it may come
// in. What it returns as from has to be given to leave: the invalid prefix
// stands for a source that is not counted.
func (l *limiter) admit(a netip.Addr, now time.Time) (from netip.Prefix, ok bool) {
	from = netx.Source(a)
	if !from.IsValid() {
		return from, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	rate := float64(l.limits.SourceRate)
	s := l.sources[from]
	if s == nil {
		s = &source{tokens: rate, at: now}
		l.sources[from] = s
	}
	if s.open >= l.limits.SourceConnections {
		return netip.Prefix{}, false
	}
	s.tokens = min(rate, s.tokens+rate*now.Sub(s.at).Seconds())
	s.at = now
	if s.tokens < 1 {
		return netip.Prefix{}, false
	}
	s.tokens--
	s.open++
	return from, true
}

// sweepEvery is how often sources without connections are forgotten. Their
// buckets are full again after a second.
const sweepEvery = 2 * time.Second

func (l *limiter) sweep(now time.Time) {
	if now.Before(l.sweepAt) {
		return
	}
	l.sweepAt = now.Add(sweepEvery)
	for a, s := range l.sources {
		if s.open == 0 && now.Sub(s.at) >= time.Second {
			delete(l.sources, a)
		}
	}
}
