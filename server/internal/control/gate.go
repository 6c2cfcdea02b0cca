package control

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Bounds of what is recorded of refused credentials, so that strangers cannot fill the record: so many a
// minute, so many of them from one source, so many that wait to be written. The others are counted.
const (
	refusalsPerMinute = 60
	refusalsPerSource = 10
	refusalsWaiting   = 64
)

// Gate lets in who has a credential, and records who has none that is good. Make one with [NewGate]; it
// records while [Gate.Run] runs.
type Gate struct {
	*Shared
	roster  *identity.Roster
	log     *slog.Logger
	waiting chan refusal

	mu      sync.Mutex
	sources map[netip.Prefix]int // guarded by mu, as is the next; of this minute
	written int
	omitted int
}

// refusal is a credential that was refused.
type refusal struct {
	Kind string     `json:"kind"`
	Code fault.Code `json:"code"`
	// Omitted is how many more there were, of which nothing else is recorded.
	Omitted int `json:"omitted,omitempty"`

	caller Caller
	at     time.Time
}

// NewGate returns a gate for those that the roster knows.
func NewGate(s *Shared, roster *identity.Roster, log *slog.Logger) *Gate {
	return &Gate{Shared: s, roster: roster, log: log, waiting: make(chan refusal, refusalsWaiting), sources: map[netip.Prefix]int{}}
}

// APIKey returns the caller that an API key stands for. Errors are those of [identity.Roster.APIKey].
func (g *Gate) APIKey(ctx context.Context, key string, from netip.Addr) (*Caller, error) {
	h, err := g.roster.APIKey(ctx, key)
	if err != nil {
		g.refused("api_key", h, from, err)
		return nil, err
	}
	return &Caller{Account: h.Account, Principal: h.Principal, Credential: h.ID, Admin: h.Admin, Write: true, Address: from}, nil
}

// Agent returns who holds an authtoken. Errors are those of [identity.Roster.Authtoken].
func (g *Gate) Agent(ctx context.Context, authtoken string, from netip.Addr) (identity.Holder, error) {
	h, err := g.roster.Authtoken(ctx, authtoken)
	if err != nil {
		g.refused("credential", h, from, err)
		return identity.Holder{}, err
	}
	return h, nil
}

// SSHKey returns who has registered an SSH key. Errors are those of [identity.Roster.SSHKey]. They are not recorded:
// clients offer all the keys they have, and offering one proves nothing.
func (g *Gate) SSHKey(fingerprint string) (identity.Holder, error) {
	return g.roster.SSHKey(fingerprint)
}

// refused queues what is to be recorded. A credential that nobody knows is recorded for the first account,
// whose administrators run the server.
func (g *Gate) refused(kind string, h identity.Holder, from netip.Addr, err error) {
	if h.Account == "" {
		h.Account = identity.DefaultAccount
	}
	r := refusal{
		Kind: kind, Code: fault.From(err).Code, at: g.Now().UTC(),
		caller: Caller{Account: h.Account, Principal: h.Principal, Credential: h.ID, Address: from},
	}
	source := netx.Source(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.written < refusalsPerMinute && g.sources[source] < refusalsPerSource {
		select {
		case g.waiting <- r:
			g.written++
			g.sources[source]++
			return
		default:
		}
	}
	g.omitted++
}

// Run records refused credentials, and removes what is old from the record of changes, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	var old auditTrim
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-g.waiting:
			g.record(ctx, r)
		case <-trim.C:
			_, err := old.run(ctx, g.Store, g.Now(), trimStretch, retention{maxChanges, keepChanges}, retention{maxRefusals, keepRefusals})
			if err != nil && ctx.Err() == nil {
				g.log.Warn("old entries of the record of changes are not removed", "err", err)
			}
		case <-minute.C:
			g.mu.Lock()
			omitted := g.omitted
			clear(g.sources)
			g.written, g.omitted = 0, 0
			g.mu.Unlock()
			if omitted > 0 {
				g.record(ctx, refusal{Kind: "any", Omitted: omitted, at: g.Now().UTC(), caller: Caller{Account: identity.DefaultAccount}})
			}
		}
	}
}

func (g *Gate) record(ctx context.Context, r refusal) {
	_, err := g.Store.Update(ctx, func(tx store.Tx) error {
		return audit(&change{ctx: ctx, tx: tx, caller: &r.caller, at: r.at}, refusalType, nil, r)
	})
	if err != nil && ctx.Err() == nil {
		g.log.Warn("a refused credential is not recorded", "code", r.Code, "addr", r.caller.Address, "err", err)
	}
}
