package limit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// buckets is how many steps a breaker's window moves in.
const buckets = 10

type breakerConfig struct {
	ErrorThreshold  float64       `field:"error_threshold" alias:"error_threshold_percentage" range:"0,1" doc:"the share of failed requests that opens the breaker"`
	VolumeThreshold int           `field:"volume_threshold" range:"1,2000000000" doc:"how many requests the window needs before the share counts"`
	Window          time.Duration `field:"window_duration" alias:"rolling_window" range:"1s,2m" doc:"length of the window over which requests are counted"`
	Tripped         time.Duration `field:"tripped_duration" range:"1s,2m" doc:"how long the breaker stays open before it lets one request try"`
	Buckets         int           `field:"num_buckets" range:"10,10" doc:"steps in which the window moves; it is always 10"`
	Enforce         bool          `field:"enforce" doc:"false never opens the breaker"`
}

func breakerDefinition() policy.Definition {
	breakers := &states[*breaker]{}
	return policy.Define(policy.Definition{
		Type:   "circuit-breaker",
		Doc:    "Answers 503 for a while when too many requests have failed upstream.",
		Phases: []policy.Phase{policy.OnHTTPRequest},
	}, breakerConfig{
		ErrorThreshold: 0.5, VolumeThreshold: 10, Window: 10 * time.Second, Tripped: 10 * time.Second, Buckets: buckets, Enforce: true,
	}, func(c *breakerConfig, b *policy.Build) policy.Action {
		return &circuitBreaker{breakerConfig: c, breakers: breakers, id: identity(b, "circuit-breaker", fmt.Sprint(*c))}
	})
}

type circuitBreaker struct {
	*breakerConfig
	breakers *states[*breaker]
	id       string
}

// Do implements policy.Action.
func (a *circuitBreaker) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	if !a.Enforce {
		return policy.Continue, nil
	}
	state := a.breakers.get(placeOf(x, a.id), func() *breaker { return &breaker{config: a.breakerConfig, start: time.Now()} })
	era, ok := state.admit()
	if !ok {
		return policy.Refuse, fault.New(fault.CircuitOpen)
	}
	x.OnUpstream(func(status int, err error) {
		switch {
		case status == 0 && err == nil, errors.Is(err, context.Canceled): // nobody asked it, or nobody waited
			state.release(era)
		default:
			state.done(era, err != nil || status >= http.StatusInternalServerError)
		}
	})
	return policy.Continue, nil
}

// breaker is the state of one circuit breaker of one endpoint.
type breaker struct {
	config *breakerConfig
	start  time.Time // of the clock that counts buckets; it is monotonic

	mu     sync.Mutex
	counts [buckets]tally
	at     int64 // the bucket that is counted in, by its number since start
	// era grows with each opening, trial and closing: what was admitted in
	// another one says nothing about the present.
	era      uint64
	open     bool
	trying   bool // one request is the trial
	openedAt time.Time
}

// tally counts the requests of one bucket.
type tally struct{ requests, errors int }

// admit reports whether a request may pass, and in which era.
func (b *breaker) admit() (era uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return b.era, true
	}
	if b.trying || time.Since(b.openedAt) < b.config.Tripped {
		return 0, false
	}
	b.trying = true
	b.era++
	return b.era, true
}

// release forgets a request that the upstream has not answered for reasons of
// its own. Another may be the trial then.
func (b *breaker) release(era uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era == b.era {
		b.trying = false
	}
}

// done counts a request that was admitted in an era.
func (b *breaker) done(era uint64, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case era != b.era:
	case b.open && failed:
		b.trip()
	case b.open:
		b.era++
		b.open, b.trying, b.counts = false, false, [buckets]tally{}
	default:
		b.turn()
		t := &b.counts[b.at%buckets]
		t.requests++
		if failed {
			t.errors++
		}
		var sum tally
		for _, t := range b.counts {
			sum.requests += t.requests
			sum.errors += t.errors
		}
		if sum.requests >= b.config.VolumeThreshold && float64(sum.errors) >= b.config.ErrorThreshold*float64(sum.requests) {
			b.trip()
		}
	}
}

func (b *breaker) trip() {
	b.era++
	b.open, b.trying, b.openedAt = true, false, time.Now()
}

// turn empties the buckets that time has passed over.
func (b *breaker) turn() {
	now := int64(time.Since(b.start) / (b.config.Window / buckets))
	for ; b.at < now; b.at++ {
		if now-b.at > buckets {
			b.at = now - buckets
		}
		b.counts[(b.at+1)%buckets] = tally{}
	}
}

// Idle reports whether the breaker is closed and its window empty.
func (b *breaker) Idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	return !b.open && b.counts == [buckets]tally{}
}
