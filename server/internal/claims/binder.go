package claims

import (
	"cmp"
	"container/list"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/wire"
)

// Limits bound what agents may hold. A zero field means its default.
type Limits struct {
	// Endpoints is how many endpoints may be online on the server. Default
	// 250 000.
	Endpoints int `yaml:"endpoints"`
	// Held is how many places are held for agents that were lost; beyond it the oldest is given up. Default
	// 10 000.
	Held int `yaml:"held_endpoints"`
	// Grace is how long each of them is held. Default 15 min; negative: not at all.
	Grace time.Duration `yaml:"hold_time"`
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Endpoints: cmp.Or(l.Endpoints, 250_000),
		Held:      cmp.Or(l.Held, 10_000),
		Grace:     cmp.Or(l.Grace, 15*time.Minute),
	}
}

// Fixed returns the limits that hold for as long as a server runs; those that [Binder.SetLimits] changes are zero in
// it.
func (l Limits) Fixed() Limits {
	l.Endpoints, l.Held = 0, 0
	return l
}

// Sealer makes resume tokens that nobody else can read or make.
type Sealer interface {
	// Seal encrypts and authenticates plaintext for one purpose.
	Seal(purpose string, plaintext []byte) string
	// Open returns what was sealed for the same purpose.
	Open(purpose, text string) ([]byte, error)
}

// Ports opens and closes the listeners of TCP endpoints.
type Ports interface {
	// Claim opens the port. It fails if another program has it.
	Claim(port uint16) error
	// Release closes the port. The port is free when it returns.
	Release(port uint16)
}

// Listener is a public port besides the standard ones.
type Listener struct {
	Scheme endpoint.Scheme
	Port   uint16
}

// Config is what a [Binder] is made of.
type Config struct {
	// Sealer is required.
	Sealer Sealer
	// Policies is required.
	Policies Policies
	// ACL knows what authtokens may bind. Nil means that all may bind everything.
	ACL ACLs
	// Names knows whose a public name is. Nil means that everybody may have all names under a base domain, and
	// nobody others (decisions.md 18).
	Names Names
	// Addresses knows whose TCP ports are. Nil means that nobody has reserved any.
	Addresses Addresses
	// KnowsIPPolicy says whether an account has an IP policy that a traffic policy names. Nil means that it is
	// not asked.
	KnowsIPPolicy func(account, id string) bool
	// KnowsAuthority says whether an account has a certificate authority that a traffic policy names. Nil means that
	// it is not asked.
	KnowsAuthority func(account, id string) bool
	// KnowsSecret says whether an account has a vault with a name, and a secret with one in it. Nil means that it is
	// not asked.
	KnowsSecret func(account, vault, name string) (hasVault, hasSecret bool)
	// MostEndpoints and MostRules are the limits of an account, if it has any: of endpoints that are online, and of
	// the rules of one policy. Nil means that no account has one.
	MostEndpoints, MostRules func(account string) (limit int64, ok bool)
	// Domains are the base domains; at least one is required. Random names come under the first.
	Domains []string
	// HTTPPort and HTTPSPort are the advertised ports, which stand for 80 and 443. Default: 80 and 443.
	// The scheme tls follows HTTPSPort.
	HTTPPort, HTTPSPort uint16
	// Extra are further ports on which endpoints may be had.
	Extra []Listener
	// TCPFirst and TCPLast are the range of ports for TCP endpoints, ends included. Zero means none.
	TCPFirst, TCPLast uint16
	// Ports opens the ports of TCP endpoints. Nil means that nothing has to be opened.
	Ports Ports
	// Limits bound what agents may hold.
	Limits Limits
	// Logger takes the warnings of policies. Nil means nobody wants them.
	Logger *slog.Logger
}

// Binder decides which URL a bind gets and keeps it for its holder. Make one with [New].
type Binder struct {
	cfg     Config
	limits  atomic.Pointer[Limits] // they may change, unlike those in cfg
	tcpHost string                 // shown in URLs of TCP endpoints
	kept    []string
	chosen  chan struct{} // see ChosenChanged

	mu    sync.Mutex
	sites map[place]*site   // guarded by mu, as is all below
	hosts hostTree          // of the public ones
	byID  map[string]*claim // by the id of an agent's endpoint
	held  *list.List        // of *claim, the oldest first
	// standing are the stored endpoints by their ids, storedClaims counts their claims, and running says that
	// ports can be opened.
	standing     map[string]*standing
	storedClaims int
	// online counts the claims of each account, but for held ones.
	online  map[string]int64
	running bool
}

// New returns a Binder without claims. It starts nothing. It fails with fault.DomainInvalid or
// fault.PortRangeInvalid.
func New(cfg Config) (*Binder, error) {
	cfg.Domains = slices.Clone(cfg.Domains)
	if len(cfg.Domains) == 0 {
		return nil, fault.New(fault.DomainInvalid, "", "there is none")
	}
	for i, d := range cfg.Domains {
		host, err := endpoint.ParseHost(d)
		switch {
		case err != nil:
			return nil, fault.Wrap(err, fault.DomainInvalid, d, fault.From(err).Message)
		case strings.HasPrefix(host, "*."):
			return nil, fault.New(fault.DomainInvalid, d, "it is a wildcard")
		case endpoint.Under(host, strings.TrimPrefix(endpoint.InternalSuffix, ".")):
			return nil, fault.New(fault.DomainInvalid, d, "names in .internal are not public")
		}
		cfg.Domains[i] = host
	}
	if cfg.TCPFirst > cfg.TCPLast {
		return nil, fault.New(fault.PortRangeInvalid, rangeText(cfg), "it ends before it begins")
	}
	cfg.HTTPPort = cmp.Or(cfg.HTTPPort, endpoint.HTTP.DefaultPort())
	cfg.HTTPSPort = cmp.Or(cfg.HTTPSPort, endpoint.HTTPS.DefaultPort())
	cfg.Limits = cfg.Limits.withDefaults()
	b := &Binder{
		cfg: cfg, tcpHost: cfg.Domains[0], kept: KeptNames(cfg.Domains),
		sites: map[place]*site{}, byID: map[string]*claim{}, held: list.New(), standing: map[string]*standing{}, chosen: make(chan struct{}, 1), online: map[string]int64{},
	}
	if isLocalhost(b.tcpHost) {
		b.tcpHost = localhost
	}
	b.limits.Store(&cfg.Limits)
	return b, nil
}

// SetLimits changes, while the server runs, the limits that [Limits.Fixed] leaves out. Endpoints that are online stay
// so.
func (b *Binder) SetLimits(l Limits) {
	l = l.withDefaults()
	b.limits.Store(&l)
}

// Run gives up held places when their time is over, until ctx ends. Without it they are given up when the
// next claim is made or released.
func (b *Binder) Run(ctx context.Context) error {
	const checks = 30 // per grace period
	every := 30 * time.Second
	if b.cfg.Limits.Grace >= 0 {
		every = max(b.cfg.Limits.Grace/checks, time.Millisecond)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.mu.Lock()
			closing := b.expire(time.Now())
			running := b.running
			b.mu.Unlock()
			b.close(closing)
			if running {
				b.OpenPorts()
			}
		}
	}
}

// Reserve claims the URL that bind asks for, or the one that its resume token stands for. Errors are
// *fault.Error.
func (b *Binder) Reserve(ctx context.Context, agent wire.Agent, bind wire.Bind) (*wire.Bound, error) {
	r, err := read(bind)
	if err != nil {
		return nil, err
	}
	t, again := openToken(b.cfg.Sealer, agent.Account, bind.Extra.Token)
	u := t.url()
	resumes := again && u.Scheme == r.scheme
	if !resumes {
		if u, err = b.wanted(r); err != nil {
			return nil, err
		}
	}
	if r.acl = b.aclOf(agent); u.Host != "" {
		if err := r.acl.allows(u); err != nil {
			return nil, err
		}
	}
	if !resumes {
		if err := b.owns(ctx, agent.Account, u); err != nil {
			return nil, err
		}
	}
	program, err := b.compile(agent.Account, r.modules, r.policy, u)
	if err != nil {
		return nil, err
	}
	r.most = limitOf(b.cfg.MostEndpoints, agent.Account)
	var c *claim
	if resumes {
		c, err = b.resume(ctx, agent, r, t)
	} else {
		c, err = b.claimNew(ctx, agent, r, u)
	}
	if err != nil {
		return nil, err
	}
	if err := b.owns(ctx, agent.Account, c.url); err != nil { // somebody has reserved it since it was judged
		b.Release(ctx, c.id, agent, true)
		return nil, err
	}
	token := bind.Extra.Token
	if !again || t != tokenOf(c) {
		token = tokenOf(c).seal(b.cfg.Sealer)
	}
	bound, err := b.bound(c, agent, bind, r, program, token)
	if err != nil {
		b.Release(ctx, c.id, agent, true)
		return nil, err
	}
	b.mu.Lock()
	if c.session == agent.SessionID {
		c.bound, c.modules = bound, r.modules
	}
	b.mu.Unlock()
	return bound, nil
}

// claimNew claims what a first bind asks for.
func (b *Binder) claimNew(ctx context.Context, agent wire.Agent, r request, u endpoint.URL) (*claim, error) {
	if u.Host == "" {
		return b.claimRandom(ctx, agent, r, id.NewSorted("ep"))
	}
	return b.claimURL(ctx, agent, r, u, id.NewSorted("ep"))
}

// claimURL claims a chosen URL.
func (b *Binder) claimURL(ctx context.Context, agent wire.Agent, r request, u endpoint.URL, id string) (*claim, error) {
	c, err := b.place(ctx, agent, r, claim{id: id, account: agent.Account, url: u}, false)
	return c, b.refusal(err, u)
}

// resume restores the endpoint that a token stands for: its claim, if that is still known, else the same URL
// if that can be had.
func (b *Binder) resume(ctx context.Context, agent wire.Agent, r request, t token) (*claim, error) {
	u := t.url()
	err := b.checkPublic(u)
	if err == nil {
		err = b.owns(ctx, agent.Account, u)
	}
	if err == nil {
		var c *claim
		c, err = b.place(ctx, agent, r, claim{id: t.ID, account: agent.Account, url: u, random: t.Random}, false)
		if err == nil {
			return c, nil
		}
		err = b.refusal(err, u)
	}
	if !t.Random || !agent.Features.ReassignURL || ctx.Err() != nil {
		return nil, err
	}
	return b.claimRandom(ctx, agent, r, t.ID)
}

// claimRandom claims a URL of the server's choice.
func (b *Binder) claimRandom(ctx context.Context, agent wire.Agent, r request, id string) (*claim, error) {
	if r.scheme == endpoint.TCP {
		if r.acl.restricted {
			return nil, fault.New(fault.ACLRandomAddress)
		}
		return b.claimRandomPort(ctx, agent, r, id)
	}
	domain, err := r.acl.randomDomain(r.scheme, b.cfg.Domains)
	if err != nil {
		return nil, err
	}
	for {
		u := endpoint.URL{Scheme: r.scheme, Host: endpoint.RandomLabel() + "." + domain}.WithDefaults()
		if domain != b.cfg.Domains[0] { // not every name there has to be the account's
			err := cmp.Or(b.checkPublic(u), b.owns(ctx, agent.Account, u))
			if fault.Has(err, fault.NameNested) || fault.Has(err, fault.NameForeign) || fault.Has(err, fault.NameNotReserved) { // nobody has asked for it
				return nil, fault.Wrap(err, fault.ACLName, noName)
			}
			if err != nil {
				return nil, err
			}
		}
		c, err := b.place(ctx, agent, r, claim{id: id, account: agent.Account, url: u, random: true}, true)
		if err != errTaken { //nolint:errorlint // place returns it as it is
			return c, b.refusal(err, u)
		}
	}
}

// Release gives an endpoint back. After a clean end its place is free at once; otherwise it is held for the
// grace period. Release does nothing if agent does not hold the endpoint any more.
func (b *Binder) Release(_ context.Context, tunnelID string, agent wire.Agent, clean bool) {
	b.mu.Lock()
	now := time.Now()
	closing := b.expire(now)
	if c := b.byID[tunnelID]; c != nil && c.elem == nil && c.session == agent.SessionID && c.account == agent.Account {
		if clean || b.cfg.Limits.Grace < 0 {
			closing = append(closing, b.drop(c)...)
		} else {
			closing = append(closing, b.hold(c, now.Add(b.cfg.Limits.Grace))...)
		}
	}
	b.mu.Unlock()
	b.close(closing)
}

// Patch changes an endpoint that agent holds and returns what it is now. Errors are *fault.Error.
func (b *Binder) Patch(_ context.Context, agent wire.Agent, p wire.PatchTunnelState) (*wire.Bound, error) {
	var program any
	if p.TrafficPolicy != nil {
		u, ms, err := b.boundAt(agent, p.TunnelId)
		if err != nil {
			return nil, err
		}
		if program, err = b.compile(agent.Account, ms, *p.TrafficPolicy, u); err != nil { // it takes a while
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.holding(agent, p.TunnelId)
	if err != nil {
		return nil, err
	}
	bound := *c.bound
	if p.TrafficPolicy != nil {
		bound.Policy = program
		if bound.Opts, err = withPolicy(bound.Opts, *p.TrafficPolicy); err != nil {
			return nil, err
		}
	}
	set(&bound.Name, p.Name)
	set(&bound.Description, p.Description)
	set(&bound.Metadata, p.Metadata)
	if err := checkTexts(bound.Name, bound.Description, bound.Metadata); err != nil {
		return nil, err
	}
	if p.PoolingEnabled != nil {
		if s := b.sites[placeOf(c.account, c.url)]; !*p.PoolingEnabled && len(s.members) > 1 {
			return nil, fault.New(fault.URLTaken, b.Show(c.url))
		}
		bound.Pooled, c.pooled = *p.PoolingEnabled, *p.PoolingEnabled
	}
	c.bound = &bound
	return &bound, nil
}

// boundAt returns the URL and the modules of an endpoint that agent holds.
func (b *Binder) boundAt(agent wire.Agent, id string) (endpoint.URL, []module, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.holding(agent, id)
	if err != nil {
		return endpoint.URL{}, nil, err
	}
	return c.url, c.modules, nil
}

// holding returns the claim that agent holds by the id of its endpoint. It is called with b.mu held.
func (b *Binder) holding(agent wire.Agent, id string) (*claim, error) {
	c := b.byID[id]
	if c == nil || c.bound == nil || c.elem != nil || c.session != agent.SessionID || c.account != agent.Account {
		return nil, fault.New(fault.EndpointUnknown, id)
	}
	return c, nil
}

func set(field *string, value *string) {
	if value != nil {
		*field = *value
	}
}
