package agent

import (
	"testing"
	"time"
)

// A flood of connections cannot fill the memory, and cannot push a change of
// state out.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	frequent := &served{at: time.Now()}
	for range maxQueued + 100 {
		q.put(frequent)
	}
	q.put(stopping(time.Now()))
	events, dropped := q.take()
	if len(events) != maxQueued+1 || dropped != 100 {
		t.Errorf("%d events wait and %d were dropped, want %d and 100", len(events), dropped, maxQueued+1)
	}
	if _, ok := events[len(events)-1].(stopping); !ok {
		t.Errorf("the last event is %T, want the change of state", events[len(events)-1])
	}
	if events, dropped = q.take(); len(events) != 0 || dropped != 0 {
		t.Errorf("a second take gives %d events and %d dropped, want none", len(events), dropped)
	}
}
