package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Draining is how long connections through an endpoint may go on after it was
// deleted (endpoints.md 12).
const Draining = 30 * time.Second

// Places gives stored endpoints their places, so that no agent takes them.
type Places interface {
	// Follow gives an endpoint the place that it is stored with. It fails if that cannot be had now.
	Follow(s *claims.Standing) error
	// Forget gives up the places of one that was deleted.
	Forget(id string)
}

// Cloud is the projection that keeps the stored endpoints in the table and in their places. Make one with
// [NewCloud].
type Cloud struct {
	publisher *Publisher
	policies  claims.Policies
	places    Places
	log       *slog.Logger
	draining  time.Duration

	mu       sync.Mutex
	standing map[string]*stored // guarded by mu, as is all below
	programs map[programKey]*program
	// suspended are the accounts whose endpoints answer nothing but that they are barred.
	suspended map[string]bool
	// waiting are the endpoints whose places others have.
	waiting map[string]*claims.Standing
}

// stored is a stored endpoint in the table.
type stored struct {
	route   *route.Endpoint
	program *program           // nil if it is barred
	end     context.CancelFunc // of the endpoint's Gone
}

// program is a compiled policy and how many endpoints use it.
type program struct {
	key  programKey
	code *policy.Program // nil if it cannot be compiled any more
	uses int
}

// programKey is what a program is made of: a text, and the kind of endpoint.
type programKey struct {
	text    [sha256.Size]byte
	scheme  endpoint.Scheme
	binding endpoint.Binding
}

// NewCloud returns a projection without endpoints. The publisher has the router.
func NewCloud(p *Publisher, policies claims.Policies, places Places, log *slog.Logger) *Cloud {
	return &Cloud{
		publisher: p, policies: policies, places: places, log: log, draining: Draining,
		standing: map[string]*stored{}, programs: map[programKey]*program{}, suspended: map[string]bool{},
		waiting: map[string]*claims.Standing{},
	}
}

// Load puts all stored endpoints into the table at once, and takes others out.
func (c *Cloud) Load(tx store.Tx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	accounts := identity.Accounts()
	suspended := map[string]bool{}
	var bad store.Unreadable
	for o, err := range accounts.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			suspended[u.ID] = true
			continue
		}
		if err != nil {
			return err
		}
		if o.Doc.Suspended {
			suspended[o.ID] = true
		}
	}
	c.suspended = suspended
	var changes []*change
	seen := make(map[string]bool, len(c.standing))
	for s, err := range control.StoredEndpoints(tx, "") {
		if u := bad.Skip(err); u != nil {
			seen[u.ID] = !suspended[u.Account] // its old form stays
			continue
		}
		if err != nil {
			c.apply(changes, nil) // they count as done when all is read once more
			return err
		}
		seen[s.ID] = true
		changes = c.put(changes, s)
	}
	var gone []string
	for id := range c.waiting {
		if !seen[id] {
			delete(c.waiting, id)
		}
	}
	for id := range c.standing {
		if !seen[id] {
			gone = append(gone, id)
			changes = c.remove(changes, id, c.draining)
		}
	}
	c.apply(changes, gone)
	return bad.Err()
}

// Apply follows changes of stored endpoints and of their accounts.
func (c *Cloud) Apply(tx store.Tx, changed []store.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var changes []*change
	var gone []string
	var bad store.Unreadable
	seen := map[string]bool{}
	for _, ch := range changed {
		if ch.Kind == identity.Accounts().Kind {
			more, err := c.account(tx, ch.ID, &bad)
			if err != nil {
				c.apply(changes, gone)
				return err
			}
			changes = append(changes, more...)
			continue
		}
		if ch.Kind != control.EndpointKind || seen[ch.ID] {
			continue
		}
		seen[ch.ID] = true
		s, err := control.StoredEndpoint(tx, ch.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			gone = append(gone, ch.ID)
			delete(c.waiting, ch.ID)
			changes = c.remove(changes, ch.ID, c.draining)
		case bad.Skip(err) != nil: // its old form stays
		case err != nil:
			c.apply(changes, gone) // they count as done when the same changes come again
			return err
		default:
			changes = c.put(changes, s)
		}
	}
	c.apply(changes, gone)
	return bad.Err()
}

// account returns the changes that follow from an account's being suspended, or not any longer.
func (c *Cloud) account(tx store.Tx, id string, bad *store.Unreadable) (changes []*change, err error) {
	accounts := identity.Accounts()
	o, err := accounts.Get(tx, id)
	unreadable := bad.Skip(err) != nil
	if err != nil && !unreadable && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	suspended := unreadable || err == nil && o.Doc.Suspended
	if suspended == c.suspended[id] {
		return nil, nil
	}
	var all []*claims.Standing
	var lost []string
	for s, err := range control.StoredEndpoints(tx, id) {
		if u := bad.Skip(err); u != nil {
			lost = append(lost, u.ID)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if c.suspended[id] = suspended; !suspended {
		delete(c.suspended, id)
	}
	for _, s := range all {
		changes = c.put(changes, s)
	}
	for _, id := range lost {
		if suspended {
			changes = c.remove(changes, id, 0)
		}
	}
	return changes, nil
}

// apply puts changes into force. Whoever is gone leaves the table before its place.
func (c *Cloud) apply(changes []*change, gone []string) {
	c.publisher.applyAll(changes)
	for _, id := range gone {
		c.places.Forget(id)
	}
}

// tryEvery is how often the places of endpoints that wait are asked for.
const tryEvery = 2 * time.Second

// Run gives endpoints whose places others had their places once these are free, until ctx ends.
func (c *Cloud) Run(ctx context.Context) error {
	tick := time.NewTicker(tryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.try()
		}
	}
}

// try puts the endpoints into the table that wait for their places and have them now.
func (c *Cloud) try() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var changes []*change
	for _, s := range c.waiting {
		changes = c.put(changes, s)
	}
	c.apply(changes, nil)
}

// put adds the change that brings an endpoint into the table, or its new form into the place of the old one. One that
// has not got its place is kept out of it: the place is somebody else's.
func (c *Cloud) put(changes []*change, s *claims.Standing) []*change {
	if err := c.places.Follow(s); err != nil {
		if c.waiting[s.ID] == nil {
			c.log.Error("a stored endpoint does not get its place and waits for it", "endpoint", s.ID, "url", s.URL.String(), "err", err)
		}
		c.waiting[s.ID] = s
		return c.remove(changes, s.ID, c.draining)
	}
	delete(c.waiting, s.ID)
	if c.suspended[s.Account] {
		return c.bar(changes, s)
	}
	old := c.standing[s.ID]
	if old != nil && old.program == nil {
		changes, old = c.remove(changes, s.ID, 0), nil
	}
	p := c.use(s)
	if old != nil && old.program == p && old.route.Key.URL == s.URL && old.route.Pooled == s.Pooled {
		c.release(p)
		return changes
	}
	now := &stored{program: p, route: &route.Endpoint{
		ID: s.ID, Account: s.Account, Key: s.Key(), Pooled: s.Pooled, Policy: p.code, Upstream: nobody{s.URL}, Meters: c.publisher.meters,
	}}
	c.standing[s.ID] = now
	if old == nil {
		now.route.Gone, now.end = context.WithCancel(context.Background()) //nolint:gosec // remove calls it
		return append(changes, &change{add: now.route})
	}
	now.route.Gone, now.end = old.route.Gone, old.end
	c.release(old.program)
	return append(changes, &change{drop: old.route, add: now.route})
}

// bar adds the change that lets an endpoint of a suspended account answer with fault.AccountBarred, and ends what goes
// through it.
func (c *Cloud) bar(changes []*change, s *claims.Standing) []*change {
	old := c.standing[s.ID]
	if old != nil && old.program == nil && old.route.Key.URL == s.URL && old.route.Pooled == s.Pooled {
		return changes
	}
	changes = c.remove(changes, s.ID, 0)
	r := &route.Endpoint{ID: s.ID, Account: s.Account, Key: s.Key(), Pooled: s.Pooled, Upstream: barred{s.URL}}
	c.standing[s.ID] = &stored{route: r, end: func() {}}
	return append(changes, &change{add: r})
}

// remove adds the change that takes an endpoint out of the table, and ends what goes through it after a while.
func (c *Cloud) remove(changes []*change, id string, after time.Duration) []*change {
	old := c.standing[id]
	if old == nil {
		return changes
	}
	delete(c.standing, id)
	if old.program != nil {
		c.release(old.program)
	}
	time.AfterFunc(after, old.end)
	return append(changes, &change{drop: old.route})
}

// use returns the program of an endpoint's policy, which all endpoints of its kind with the same text share.
func (c *Cloud) use(s *claims.Standing) *program {
	k := programKey{text: sha256.Sum256([]byte(s.Policy)), scheme: s.URL.Scheme, binding: s.Key().Binding}
	p := c.programs[k]
	if p == nil {
		p = &program{key: k}
		code, found := claims.CompileStored(c.policies, s.Policy, s.URL)
		if found.Failed() {
			// What is stored was sound once. It must not take the others along, and must let nothing through.
			c.log.Error("the policy of a stored endpoint is not valid any more", "endpoint", s.ID, "url", s.URL.String(), "err", found.Errors())
		} else {
			p.code = code
		}
		c.programs[k] = p
	}
	p.uses++
	return p
}

func (c *Cloud) release(p *program) {
	if p.uses--; p.uses == 0 {
		delete(c.programs, p.key)
	}
}

// applyAll returns once the changes are in one table together.
func (p *Publisher) applyAll(changes []*change) {
	if len(changes) > 0 {
		p.mu.Lock()
		p.apply(changes...)
	}
}

// nobody is the upstream of an endpoint that has none: its policy has to answer.
type nobody struct{ url endpoint.URL }

// Dial fails with fault.CloudUnanswered.
func (n nobody) Dial(context.Context, wire.ProxyHeader) (net.Conn, error) {
	return nil, fault.New(fault.CloudUnanswered, n.url.String())
}

// barred is the upstream of an endpoint whose account is suspended.
type barred struct{ url endpoint.URL }

// Dial fails with fault.AccountBarred.
func (b barred) Dial(context.Context, wire.ProxyHeader) (net.Conn, error) {
	return nil, fault.New(fault.AccountBarred, b.url.String())
}
