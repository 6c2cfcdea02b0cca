package culvert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/wire"
)

// AgentSession describes a session with the server. It stays the same while
// connections are lost and opened again.
type AgentSession interface {
	// ID returns the session's id as the server names it.
	ID() string
	// Warnings returns what the server warned about when the session began.
	Warnings() []error
	// Agent returns the agent that opened the session.
	Agent() Agent
	// StartedAt returns when the session began.
	StartedAt() time.Time

	sealed()
}

// AgentSessionDetails is implemented by every [AgentSession] of this package;
// use a type assertion to reach it.
type AgentSessionDetails interface {
	AgentSession
	// AccountName returns the name of the account.
	AccountName() string
	// PlanName returns the account's plan, if the server has plans.
	PlanName() string
	// Region returns where the server says it runs.
	Region() string
	// Banner returns the server's notice to its users, usually empty.
	Banner() string
	// ServerVersion returns the server's version.
	ServerVersion() string
}

// sessionInfo implements AgentSessionDetails. It does not change once the
// session is up.
type sessionInfo struct {
	agent    *agent
	started  time.Time
	id       string
	extra    wire.AuthRespExtra
	warnings []error
}

func (i *sessionInfo) ID() string            { return i.id }
func (i *sessionInfo) Warnings() []error     { return slices.Clone(i.warnings) }
func (i *sessionInfo) Agent() Agent          { return i.agent }
func (i *sessionInfo) StartedAt() time.Time  { return i.started }
func (i *sessionInfo) AccountName() string   { return i.extra.AccountName }
func (i *sessionInfo) PlanName() string      { return i.extra.PlanName }
func (i *sessionInfo) Region() string        { return i.extra.Region }
func (i *sessionInfo) Banner() string        { return i.extra.Banner }
func (i *sessionInfo) ServerVersion() string { return i.extra.Version }
func (*sessionInfo) sealed()                 {}

// Why a session ends.
var (
	errDisconnected = errors.New("the agent was disconnected")
	errStopped      = errors.New("the server told the agent to stop")
)

const (
	// unbindWait bounds how long closing an endpoint waits for the server.
	unbindWait = 5 * time.Second
	// bindRace is how long a connection waits for the answer to a bind under
	// way, because the server may use an endpoint before the agent has read
	// its id.
	bindRace = time.Second
)

// session is what Connect opens: an identity and endpoints that outlive single
// connections.
type session struct {
	agent *agent
	opts  agentOptions
	log   *slog.Logger
	info  *sessionInfo

	// life ends with the session; its cause says why.
	life context.Context //nolint:containedctx // the lifetime of the session
	end  context.CancelCauseFunc
	done chan struct{} // closed when nothing of the session is left

	mu        sync.Mutex
	running   sync.WaitGroup
	ended     bool // no goroutine may start any more
	clientID  string
	cookie    string
	legs      []*leg
	endpoints map[string]*endpoint // online, by the id of the bind
	alive     map[*endpoint]bool   // online, or with connections that still go on
	binding   int                  // first binds whose answer is awaited
	changed   chan struct{}        // closed and made anew when a field above changes
}

// startSession opens a session and waits until its first leg is up.
func startSession(ctx context.Context, a *agent, opts agentOptions) (*session, error) {
	if opts.fromEnvironment {
		if err := opts.environment(); err != nil {
			return nil, err
		}
	}
	s := &session{
		agent: a, opts: opts, log: opts.logger,
		info:      &sessionInfo{agent: a, started: time.Now()},
		done:      make(chan struct{}),
		endpoints: map[string]*endpoint{},
		alive:     map[*endpoint]bool{},
		changed:   make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.life, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	first, err := s.addLeg(opts.connectURL)
	if err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	s.spawn(func() { first.run(ready) })
	go s.supervise(ctx)
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
		if why := first.lastError(); why != nil {
			err = fmt.Errorf("%w; the last attempt: %w", err, why)
		}
	}
	if err != nil {
		s.stop(err)
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

// spawn runs f on a goroutine that the end of the session waits for. It does
// nothing once the session has ended.
func (s *session) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.running.Go(f)
	}
}

// supervise ends the session when ctx ends, and cleans up when the session
// ends for whatever reason.
func (s *session) supervise(ctx context.Context) {
	select {
	case <-ctx.Done():
		s.drain(context.Cause(ctx)) //nolint:contextcheck // that context has ended; draining has the session's
	case <-s.life.Done():
	}
	s.agent.forget(s)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.running.Wait()
	cause := context.Cause(s.life) //nolint:contextcheck // the session's own lifetime
	for _, e := range s.takeEndpoints() {
		e.closed(cause)
	}
	close(s.done)
}

// stop ends the session at once and waits until nothing of it is left.
func (s *session) stop(cause error) {
	s.end(cause)
	<-s.done
}

// drain takes all endpoints offline, lets their connections finish for the
// drain time, and ends the session.
func (s *session) drain(cause error) {
	ctx, cancel := context.WithTimeout(s.life, s.opts.drain)
	defer cancel()
	var wg sync.WaitGroup
	for _, e := range s.aliveEndpoints() {
		wg.Go(func() { e.drain(ctx, cause) })
	}
	wg.Wait()
	s.end(cause)
}

// watch ends an endpoint when ctx ends.
func (s *session) watch(ctx context.Context, e *endpoint) {
	if ctx.Done() == nil {
		return
	}
	s.spawn(func() {
		select {
		case <-ctx.Done():
		case <-e.closing:
			return
		case <-s.life.Done():
			return
		}
		drain, cancel := context.WithTimeout(s.life, s.opts.drain)
		defer cancel()
		e.drain(drain, context.Cause(ctx)) //nolint:contextcheck // that context has ended
	})
}

// notify wakes those who wait for a change. Called with mu held.
func (s *session) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// addLeg adds a connection to a server, not yet running.
func (s *session) addLeg(addr string) (*leg, error) {
	if addr == "" {
		addr = defaultServer
	}
	addr, err := parseServer(addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := newLeg(s, len(s.legs), addr)
	s.legs = append(s.legs, l)
	return l, nil
}

// identity returns what an Auth has to present to be the same session again.
func (s *session) identity() (clientID, cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clientID, s.cookie
}

// authenticated takes over what the server answered.
func (s *session) authenticated(resp wire.AuthResp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.clientID == ""
	s.clientID = resp.ClientId
	if resp.Extra.Cookie != "" {
		s.cookie = resp.Extra.Cookie
	}
	if !first {
		return
	}
	s.info.id = resp.Extra.AgentSessionID
	if s.info.id == "" {
		s.info.id = resp.ClientId
	}
	s.info.extra = resp.Extra
	if d := resp.Extra.DeprecationWarning; d != nil {
		s.info.warnings = append(s.info.warnings, fmt.Errorf("%s (version %s is needed from %s on)",
			d.Msg, d.NextMin, d.NextDate.Format(time.DateOnly)))
	}
}

// link returns the live connection with the lowest number, or nil and a
// channel that is closed at the next change.
func (s *session) link() (*link, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.legs {
		if l.link != nil {
			return l.link, nil
		}
	}
	return nil, s.changed
}

// waitLink waits for a live connection.
func (s *session) waitLink(ctx context.Context) (*link, error) {
	for {
		k, changed := s.link()
		if k != nil {
			return k, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.life.Done():
			return nil, context.Cause(s.life) //nolint:contextcheck // the session's own lifetime
		}
	}
}

// bind brings a new endpoint online: on the first live connection here, on the
// others by their own goroutines.
func (s *session) bind(ctx context.Context, e *endpoint) error {
	s.awaitBind(1)
	defer s.awaitBind(-1)
	for {
		k, err := s.waitLink(ctx)
		if err != nil {
			return err
		}
		resp, err := k.bind(ctx, e.bindRequest())
		if err != nil {
			if ctx.Err() != nil || !k.dead() {
				return err
			}
			continue // the connection was lost: try the next one
		}
		if err := e.bound(resp, s.info.id); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended {
			return context.Cause(s.life) //nolint:contextcheck // the session's own lifetime
		}
		s.endpoints[e.id] = e
		s.alive[e] = true
		k.holds[e] = true
		s.notify()
		s.agent.add(e)
		return nil
	}
}

func (s *session) awaitBind(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binding += n
	s.notify()
}

// lookup finds the endpoint of a forwarded connection.
func (s *session) lookup(id string) *endpoint {
	s.mu.Lock()
	e, pending := s.endpoints[id], s.binding > 0
	s.mu.Unlock()
	if e != nil || !pending {
		return e
	}
	deadline := time.NewTimer(bindRace)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		e, pending, changed := s.endpoints[id], s.binding > 0, s.changed
		s.mu.Unlock()
		if e != nil || !pending {
			return e
		}
		select {
		case <-changed:
		case <-deadline.C:
			return nil
		case <-s.life.Done():
			return nil
		}
	}
}

// unbind forgets an endpoint and, where tell is set, tells the server.
func (s *session) unbind(ctx context.Context, e *endpoint, tell bool) error {
	s.mu.Lock()
	known := s.endpoints[e.id] == e
	first := known && tell && e.unbound == nil
	if known {
		delete(s.endpoints, e.id)
	}
	if first {
		e.unbound = make(chan struct{})
	}
	unbound := e.unbound
	for _, l := range s.legs {
		if l.link != nil {
			delete(l.link.holds, e)
		}
	}
	s.mu.Unlock()
	s.agent.remove(e)
	if !first {
		// Whoever asked first is heard by the server before the caller goes on,
		// and perhaps ends the session.
		if tell && unbound != nil {
			select {
			case <-unbound:
			case <-ctx.Done():
			}
		}
		return nil
	}
	defer close(unbound)
	// Without a connection there is nothing to take offline: the endpoint is
	// not bound again.
	k, _ := s.link()
	if k == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, unbindWait)
	defer cancel()
	return k.unbind(ctx, e.id)
}

func (s *session) aliveEndpoints() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.alive))
}

// gone forgets an endpoint that is offline and has no connections left.
func (s *session) gone(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alive, e)
}

func (s *session) takeEndpoints() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Values(s.endpoints))
	clear(s.endpoints)
	return all
}

func (s *session) emit(e Event) {
	for _, handler := range s.opts.handlers {
		handler(e)
	}
}
