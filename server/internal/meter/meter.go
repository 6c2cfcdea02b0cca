package meter

import (
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/culvert-project/culvert/server/internal/window"
)

// Endpoint is what is counted for.
type Endpoint struct {
	// ID is the resource id, Account whose it is, and URL its canonical address.
	ID, Account, URL string
}

// Counts are how much was done.
type Counts struct {
	// Requests are those of http and https endpoints, Connections those of tcp and tls endpoints.
	Requests, Connections int64
	// Out are the bytes that left the server, to clients (below TLS) and to agents (in streams).
	Out int64
}

// Add adds what was done besides.
func (c *Counts) Add(d Counts) {
	c.Requests += d.Requests
	c.Connections += d.Connections
	c.Out += d.Out
}

// Meters are the counters of a server and the limits of its accounts. Make them with [New]. They are safe for
// concurrent use.
type Meters struct {
	requestRate, connectionRate *window.Table

	mu       sync.Mutex
	entries  map[string]*entry   // guarded by mu, as is the next; by the id of the endpoint
	accounts map[string]*account // those that have counted something, or have limits
}

// sums are what a counter has counted in all.
type sums struct{ requests, connections, out atomic.Int64 }

// entry is a counter in the books. It outlives the counter until all that was counted is given out.
type entry struct {
	endpoint Endpoint
	sums     *sums
	given    Counts
	held     weak.Pointer[Counter]
}

// New returns meters without counters and limits.
func New() *Meters {
	return &Meters{
		requestRate: window.New(time.Minute, 0), connectionRate: window.New(time.Minute, 0),
		entries: map[string]*entry{}, accounts: map[string]*account{},
	}
}

// Counter returns the counter of an endpoint: the same one as before for as long as anybody holds it.
func (m *Meters) Counter(e Endpoint) *Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.entries[e.ID]
	if known == nil {
		known = &entry{sums: &sums{}}
		m.entries[e.ID] = known
	}
	known.endpoint = e // its URL may have changed
	if c := known.held.Value(); c != nil && c.account.id == e.Account {
		return c
	}
	c := &Counter{sums: known.sums, account: m.account(e.Account)}
	known.held = weak.Make(c)
	return c
}

// account returns what is known of an account. m.mu is held.
func (m *Meters) account(id string) *account {
	a := m.accounts[id]
	if a == nil {
		a = &account{id: id, key: window.KeyOf([]byte(id)), meters: m}
		m.accounts[id] = a
	}
	return a
}

// Collect calls f with what each endpoint has done since the last call, if it has done anything.
func (m *Meters) Collect(f func(e Endpoint, since Counts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, e := range m.entries {
		gone := e.held.Value() == nil // asked first: nobody counts any more then
		now := Counts{Requests: e.sums.requests.Load(), Connections: e.sums.connections.Load(), Out: e.sums.out.Load()}
		if now != e.given {
			f(e.endpoint, Counts{now.Requests - e.given.Requests, now.Connections - e.given.Connections, now.Out - e.given.Out})
			e.given = now
		}
		if gone {
			delete(m.entries, id)
		}
	}
}

// Counter counts for one endpoint. A nil one counts nothing and refuses nothing.
type Counter struct {
	sums    *sums
	account *account
}

// Same reports whether another counter is of the same account.
func (c *Counter) Same(other *Counter) bool {
	return c == other || c != nil && other != nil && c.account == other.account
}

// Request counts a request, or returns a [*Refusal].
func (c *Counter) Request() error {
	if c == nil {
		return nil
	}
	if q := c.account.quota.Load(); q != nil {
		if err := q.request(c.account); err != nil {
			return err
		}
	}
	c.sums.requests.Add(1)
	return nil
}

// Connection counts a connection of tcp or tls, or returns a [*Refusal].
func (c *Counter) Connection() error {
	if c == nil {
		return nil
	}
	if q := c.account.quota.Load(); q != nil {
		if err := q.connection(c.account); err != nil {
			return err
		}
	}
	c.sums.connections.Add(1)
	return nil
}

// Visitor counts a connection of http or https for the rate of connections alone, or returns a [*Refusal].
func (c *Counter) Visitor() error {
	if c == nil {
		return nil
	}
	if q := c.account.quota.Load(); q != nil {
		return q.visitor(c.account)
	}
	return nil
}

// Sent counts bytes that have left the server.
func (c *Counter) Sent(n int64) {
	if c != nil {
		c.sums.out.Add(n)
	}
}

// Out is what Sent adds to, nil for nothing. Who adds to it has to hold the counter too.
func (c *Counter) Out() *atomic.Int64 {
	if c == nil {
		return nil
	}
	return &c.sums.out
}
