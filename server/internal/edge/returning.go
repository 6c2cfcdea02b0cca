package edge

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

const (
	// returnWait is how long a request or connection waits for an agent that
	// is expected back, and returnWindow how long after the start of the
	// server every port and every name under a base domain is one
	// (decision 35).
	returnWait   = 3 * time.Second
	returnWindow = 15 * time.Second
	// others is how many further members a request or connection is offered
	// to when the session of the chosen one turns out to have ended.
	others = 4
)

// Why a wait ended without an agent.
var (
	errNobodyCame = errors.New("no agent came back")
	errNoWait     = errors.New("too many wait for agents, or the server ends")
)

// returning lets requests and connections wait for agents that may be back in
// a moment, a bounded number at a time.
type returning struct {
	router    *route.Router
	domains   []string // base domains, canonical
	startedAt time.Time
	most      int
	stop      <-chan struct{} // closed when nobody is to wait any more

	waiting atomic.Int64
}

// expected reports whether an agent for a name, or for a port of tcp, may be
// back in a moment. Base domains themselves are names like those under them.
func (r *returning) expected(scheme endpoint.Scheme, host string, port uint16) bool {
	if r.router.Expected(scheme, host, port) {
		return true
	}
	return time.Since(r.startedAt) < returnWindow && (scheme == endpoint.TCP || underAny(host, r.domains))
}

// await calls found now and at each change of the table until it reports true.
// It fails with errNobodyCame after returnWait, with errNoWait if there is no
// waiting, and with the error of ctx.
func (r *returning) await(ctx context.Context, found func() bool) error {
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > int64(r.most) {
		return errNoWait
	}
	timer := time.NewTimer(returnWait)
	defer timer.Stop()
	for {
		changed := r.router.Changed() // before the look, so that no change is missed
		if found() {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return errNobodyCame
		case <-r.stop:
			return errNoWait
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// underAny reports whether a name is one of the domains or lies under one.
func underAny(name string, domains []string) bool {
	for _, d := range domains {
		if endpoint.Under(name, d) {
			return true
		}
	}
	return false
}
