package agent

import (
	"sync"
	"time"

	culvert "github.com/culvert-project/culvert"
)

// maxQueued bounds the events that wait to be shown. Events of single
// connections beyond it are dropped and counted; changes of state never are,
// since there are few of them.
const maxQueued = 4096

// queue takes events from the SDK, whose handlers must not wait, to the one
// goroutine that shows them.
type queue struct {
	ready chan struct{} // holds a token when events wait

	mu      sync.Mutex
	events  []culvert.Event // guarded by mu
	dropped int             // guarded by mu
}

func newQueue() *queue {
	return &queue{ready: make(chan struct{}, 1)}
}

// put adds an event; it never waits.
func (q *queue) put(e culvert.Event) {
	q.mu.Lock()
	if len(q.events) >= maxQueued && frequent(e) {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.events = append(q.events, e)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns all events that wait, in order, and how many were dropped since
// the last call.
func (q *queue) take() (events []culvert.Event, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, dropped = q.events, q.dropped
	q.events, q.dropped = nil, 0
	return events, dropped
}

// stopping tells the monitor that the run has begun to end, and when.
type stopping time.Time

// EventType is none of the SDK's.
func (stopping) EventType() culvert.EventType { return -1 }

// Timestamp returns when the end began.
func (s stopping) Timestamp() time.Time { return time.Time(s) }

// refused tells the monitor that an endpoint could not be brought online at
// start and will be tried again.
type refused struct {
	at      time.Time
	name    string
	err     error
	retryIn time.Duration
}

// EventType is none of the SDK's.
func (*refused) EventType() culvert.EventType { return -1 }

// Timestamp returns when the endpoint was refused.
func (r *refused) Timestamp() time.Time { return r.at }

// frequent reports whether an event comes with each connection.
func frequent(e culvert.Event) bool {
	switch e.EventType() {
	case culvert.EventTypeConnectionOpened, culvert.EventTypeConnectionClosed, culvert.EventTypeHTTPRequestComplete,
		culvert.EventTypeUpstreamDialComplete, culvert.EventTypeUpstreamTLSHandshakeComplete:
		return true
	default:
		return false
	}
}
