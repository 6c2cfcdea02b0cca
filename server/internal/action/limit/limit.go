package limit

import (
	"strconv"
	"strings"
	"sync"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// Config are the bounds of the actions' state. The zero value works.
type Config struct {
	// Keys is how many buckets a rate-limit action of an endpoint has at most;
	// the ones that were not used for longest go first. Default
	// window.DefaultKeys.
	Keys int
}

// Definitions returns the actions of this package. State is shared by all
// policies that are compiled with them.
func Definitions(c Config) []policy.Definition {
	return []policy.Definition{breakerDefinition(), rateDefinition(c)}
}

// identity tells the action apart from others of the policy, whatever rules
// stand around it. What it is made of are the settings that its state depends
// on.
func identity(b *policy.Build, settings ...string) string {
	id := b.Phase.String() + " " + strings.Join(settings, "\x00")
	return id + "\x00" + strconv.Itoa(b.Nth(id))
}

// place is where state belongs.
type place struct{ account, endpoint, action string }

func placeOf(x *policy.Exchange, action string) place {
	endpoint := x.Endpoint.Name
	if endpoint == "" {
		endpoint = x.Endpoint.ID
	}
	return place{x.Endpoint.Account, endpoint, action}
}

// idler is state that may be dropped when it has nothing to say.
type idler interface{ Idle() bool }

// states holds the state of actions by place. It sweeps the idle ones whenever
// it has doubled.
type states[S idler] struct {
	mu    sync.RWMutex
	all   map[place]S
	sweep int
}

// firstSweep is how many states there are before any are swept.
const firstSweep = 64

func (s *states[S]) get(p place, fresh func() S) S {
	s.mu.RLock()
	have, ok := s.all[p]
	s.mu.RUnlock()
	if ok {
		return have
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.all[p]; ok {
		return have
	}
	if s.all == nil {
		s.all, s.sweep = make(map[place]S), firstSweep
	}
	if len(s.all) >= s.sweep {
		for p, have := range s.all {
			if have.Idle() {
				delete(s.all, p)
			}
		}
		s.sweep = max(firstSweep, 2*len(s.all))
	}
	made := fresh()
	s.all[p] = made
	return made
}
