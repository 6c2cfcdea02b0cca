package route

import (
	"strings"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// maxExpected bounds the names that are remembered as lost. Beyond it the
// newest are not remembered: their clients hear "not found" instead of
// waiting a moment.
const maxExpected = 100_000

// expected remembers names whose agent is gone but may come back at once.
type expected struct {
	mu    sync.RWMutex
	until map[name]time.Time
	// sweepAt is the earliest time at which something may have expired.
	sweepAt time.Time
}

// name is a public host or pattern and port.
type name struct {
	host string
	port uint16
}

func nameOf(k endpoint.Key) name {
	if k.URL.Scheme == endpoint.TCP {
		return name{port: k.URL.Port}
	}
	return name{host: k.URL.Host, port: k.URL.Port}
}

// Expect notes that the endpoint with key k was lost without a farewell and
// that its agent may be back before until. Connections for the name then wait
// a moment instead of being refused (decision 35). Endpoints that are not
// public are ignored.
func (r *Router) Expect(k endpoint.Key, until time.Time) {
	if k.Binding != endpoint.Public {
		return
	}
	x := &r.lost
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.until == nil {
		x.until = make(map[name]time.Time)
	}
	if now := time.Now(); len(x.until) > 0 && !now.Before(x.sweepAt) {
		x.sweep(now)
	}
	if len(x.until) >= maxExpected {
		return
	}
	if len(x.until) == 0 || until.Before(x.sweepAt) {
		x.sweepAt = until
	}
	x.until[nameOf(k)] = until
}

// sweep drops what has expired. A second passes before the next one, so that
// it does not run for each of many losses.
func (x *expected) sweep(now time.Time) {
	for n, t := range x.until {
		if !now.Before(t) {
			delete(x.until, n)
		}
	}
	x.sweepAt = now.Add(time.Second)
}

// Expected reports whether an agent for the public name is expected back: the
// name itself or a wildcard around it was given to Expect, and the time has not
// passed. It is for names that the table does not have.
func (r *Router) Expected(scheme endpoint.Scheme, host string, port uint16) bool {
	x := &r.lost
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.until) == 0 {
		return false
	}
	now := time.Now()
	if scheme == endpoint.TCP {
		return now.Before(x.until[name{port: port}])
	}
	if now.Before(x.until[name{host: host, port: port}]) {
		return true
	}
	if r.Table().reserved[host] {
		return false
	}
	for {
		dot := strings.IndexByte(host, '.')
		if dot < 0 {
			return false
		}
		// Built without allocation: the compiler keeps a key that only
		// indexes a map on the stack as long as it is short.
		if now.Before(x.until[name{host: "*" + host[dot:], port: port}]) {
			return true
		}
		host = host[dot+1:]
	}
}
