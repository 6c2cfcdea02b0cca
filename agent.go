package culvert

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/fault"
)

// Agent is a client of one Culvert server. Make one with [NewAgent].
type Agent interface {
	// Connect opens a session with the server and waits until it is up. It
	// tries again after failures until ctx ends, but returns at once if the
	// server refuses the token, the account or the version. The session ends
	// when ctx ends. It is an error to connect twice.
	Connect(ctx context.Context) error

	// Disconnect ends the session and all its endpoints at once, and waits
	// until all of the agent's goroutines have ended. It must not be called
	// from an event handler or RPC handler. Without a session it does nothing.
	Disconnect() error

	// Session describes the session; it is an error if there is none.
	Session() (AgentSession, error)

	// Endpoints returns the endpoints that are open, oldest first.
	Endpoints() []Endpoint

	// Listen opens an endpoint whose connections the caller accepts.
	Listen(ctx context.Context, opts ...EndpointOption) (EndpointListener, error)

	// Forward opens an endpoint whose connections are forwarded to upstream.
	Forward(ctx context.Context, upstream *Upstream, opts ...EndpointOption) (EndpointForwarder, error)

	sealed()
}

// Dialer opens connections; *net.Dialer is one.
type Dialer interface {
	Dial(network, address string) (net.Conn, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

var (
	errNotConnected = errors.New("agent is not connected")
	errConnected    = errors.New("agent is already connected")
)

// agent implements Agent, Diagnoser and AgentStatus.
type agent struct {
	opts agentOptions

	mu         sync.Mutex
	session    *session // nil when there is none
	connecting chan struct{}
	endpoints  []*endpoint
}

// NewAgent returns an agent. It opens nothing. Options that can be seen to be
// wrong give an error here.
func NewAgent(opts ...AgentOption) (Agent, error) {
	a := &agent{opts: defaultAgentOptions()}
	for _, opt := range opts {
		if opt != nil {
			opt(&a.opts)
		}
	}
	if err := a.opts.check(); err != nil {
		return nil, coded(err)
	}
	return a, nil
}

func (*agent) sealed() {}

// Connect implements Agent.
func (a *agent) Connect(ctx context.Context) error {
	a.mu.Lock()
	if a.session != nil || a.connecting != nil {
		a.mu.Unlock()
		return errConnected
	}
	return a.connectLocked(ctx)
}

// connectLocked is called with mu held and releases it.
func (a *agent) connectLocked(ctx context.Context) error {
	done := make(chan struct{})
	a.connecting = done
	opts := a.opts
	a.mu.Unlock()

	s, err := startSession(ctx, a, opts)

	a.mu.Lock()
	defer a.mu.Unlock()
	a.connecting = nil
	close(done)
	if err != nil {
		return coded(err)
	}
	if s.life.Err() == nil {
		a.session = s
	}
	return nil
}

// forget lets Connect work again after a session has ended by itself.
func (a *agent) forget(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == s {
		a.session = nil
	}
}

// ready returns the session, connecting first where that is wanted.
func (a *agent) ready(ctx context.Context) (*session, error) {
	for {
		a.mu.Lock()
		switch {
		case a.session != nil:
			defer a.mu.Unlock()
			return a.session, nil
		case a.connecting != nil:
			wait := a.connecting
			a.mu.Unlock()
			select {
			case <-wait:
				a.mu.Lock()
				failed := a.session == nil && a.connecting == nil
				a.mu.Unlock()
				if failed && !a.opts.autoConnect {
					return nil, errNotConnected
				}
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case !a.opts.autoConnect:
			a.mu.Unlock()
			return nil, errNotConnected
		default:
			if err := a.connectLocked(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// Disconnect implements Agent.
func (a *agent) Disconnect() error {
	a.mu.Lock()
	s := a.session
	a.session = nil
	a.mu.Unlock()
	if s != nil {
		s.stop(errDisconnected)
	}
	return nil
}

// Session implements Agent.
func (a *agent) Session() (AgentSession, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == nil {
		return nil, errNotConnected
	}
	return a.session.info, nil
}

// Endpoints implements Agent.
func (a *agent) Endpoints() []Endpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Endpoint, 0, len(a.endpoints))
	for _, e := range a.endpoints {
		all = append(all, e.public)
	}
	return all
}

func (a *agent) add(e *endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endpoints = append(a.endpoints, e)
}

func (a *agent) remove(e *endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endpoints = slices.DeleteFunc(a.endpoints, func(x *endpoint) bool { return x == e })
}

// Listen implements Agent.
func (a *agent) Listen(ctx context.Context, opts ...EndpointOption) (EndpointListener, error) {
	o, err := newEndpointOptions(opts, nil)
	if err != nil {
		return nil, coded(err)
	}
	s, err := a.ready(ctx)
	if err != nil {
		return nil, err
	}
	l := newListener(newEndpoint(s, o))
	if err := s.bind(ctx, l.endpoint); err != nil {
		return nil, coded(err)
	}
	return l, nil
}

// Forward implements Agent.
func (a *agent) Forward(ctx context.Context, upstream *Upstream, opts ...EndpointOption) (EndpointForwarder, error) {
	if upstream == nil {
		return nil, coded(fault.New(fault.UpstreamInvalidURL, "", "it is missing"))
	}
	o, err := newEndpointOptions(opts, upstream)
	if err != nil {
		return nil, coded(err)
	}
	s, err := a.ready(ctx)
	if err != nil {
		return nil, err
	}
	f, err := newForwarder(newEndpoint(s, o), upstream)
	if err != nil {
		return nil, coded(err)
	}
	if err := s.bind(ctx, f.endpoint); err != nil {
		return nil, coded(err)
	}
	s.watch(ctx, f.endpoint)
	return f, nil
}
