package culvert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
)

// Endpoint is what Listen and Forward open: a public URL whose connections
// come to this agent.
type Endpoint interface {
	// Agent returns the agent that opened the endpoint.
	Agent() Agent
	// PoolingEnabled tells whether the URL may be shared.
	PoolingEnabled() bool
	// Bindings returns what [WithBindings] set.
	Bindings() []string
	// Close is CloseWithContext without a bound.
	Close() error
	// CloseWithContext takes the endpoint offline. Connections that are open
	// go on. It waits for the server's confirmation, at most 5 s and not
	// longer than ctx.
	CloseWithContext(ctx context.Context) error
	// Description returns the description for people.
	Description() string
	// Done is closed when the endpoint has ended.
	Done() <-chan struct{}
	// Wait waits until the endpoint has ended.
	Wait()
	// ID returns the endpoint's id within its session.
	ID() string
	// Metadata returns the text for programs.
	Metadata() string
	// Name returns the name for people.
	Name() string
	// Protocol returns the scheme of the URL.
	Protocol() string
	// AgentTLSTermination returns the configuration with which the agent ends
	// TLS, nil if it does not.
	AgentTLSTermination() *tls.Config
	// TrafficPolicy returns the policy document.
	TrafficPolicy() string
	// URL returns the public URL.
	URL() *url.URL
	// CreatedAt returns when the endpoint was opened.
	CreatedAt() time.Time
	// UpdatedAt returns when it was last changed.
	UpdatedAt() time.Time
	// TunnelSessionID returns the id of the session that opened it.
	TunnelSessionID() string
	// TunnelID returns the endpoint's id on the server.
	TunnelID() string

	sealed()
}

// maxWaiting bounds the connections of one endpoint that the application has
// not accepted yet.
const maxWaiting = 1024

// lookForQuiet is how often an endpoint that drains looks for connections that
// are only kept alive.
const lookForQuiet = 50 * time.Millisecond

// endpoint is what listeners and forwarders have in common.
type endpoint struct {
	session *session
	opts    endpointOptions
	public  Endpoint
	// take serves a connection; it returns when it is done with the stream or
	// has handed it on.
	take func(c *Conn)
	// cleanup, where set, runs when the endpoint has ended.
	cleanup func()

	id        string // of the bind; constant once the endpoint is bound
	sessionID string

	unbound chan struct{} // closed once the server was told of the end; guarded by session.mu
	closing chan struct{} // closed when no more connections are taken
	done    chan struct{} // closed when the endpoint has ended

	mu        sync.Mutex
	url       *url.URL
	tunnelID  string
	token     string
	wireOpts  json.RawMessage
	created   time.Time
	updated   time.Time
	state     EndpointState
	err       error
	conns     map[*Conn]struct{}
	idle      chan struct{} // closed and made anew when the last connection ends
	opened    atomic.Int64
	in, out   atomic.Int64
	isClosing bool
	isDone    bool
}

func newEndpoint(s *session, o endpointOptions) *endpoint {
	return &endpoint{
		session: s, opts: o, url: &url.URL{},
		closing: make(chan struct{}), done: make(chan struct{}), idle: make(chan struct{}),
		conns: map[*Conn]struct{}{},
	}
}

// bindRequest is what the server is asked, at first and after a reconnect.
func (e *endpoint) bindRequest() wire.Bind {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := &e.opts
	opts := e.wireOpts
	if opts == nil {
		// Plain strings and numbers always encode.
		opts, _ = o.wireOptions()
	}
	forwardsTo := o.forwardsTo
	if forwardsTo == "" {
		forwardsTo = hostAndProgram()
	}
	return wire.Bind{
		Id: e.id, Proto: o.proto, ForwardsTo: forwardsTo, ForwardsProto: o.upstream.forwardsProto(o.proto),
		Opts: opts,
		Extra: wire.BindExtra{
			Token: e.token, Metadata: o.metadata, Name: o.name, Description: o.description,
			Bindings: o.bindings, PoolingEnabled: o.pooling,
		},
	}
}

// bound takes over the answer to the first bind.
func (e *endpoint) bound(resp wire.BindResp, sessionID string) error {
	u, err := url.Parse(resp.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("bind: the server answered with the URL %q", resp.URL)
	}
	e.mu.Lock()
	e.id, e.sessionID, e.url, e.state = resp.Id, sessionID, u, EndpointOnline
	e.token, e.tunnelID, e.wireOpts = resp.Extra.Token, resp.Extra.TunnelID, resp.Opts
	e.created = time.Now()
	e.updated = e.created
	e.mu.Unlock()
	e.session.log.Debug("endpoint online", "url", resp.URL, "endpoint", resp.Extra.TunnelID)
	e.changed(EndpointOnline, nil, "")
	return nil
}

// rebound takes over the answer to a later bind. The URL stays, unless the
// server may give another one.
func (e *endpoint) rebound(resp wire.BindResp, reassign bool) {
	e.mu.Lock()
	was, old := e.state, e.url.String()
	if e.isClosing {
		e.mu.Unlock()
		return
	}
	e.state, e.err = EndpointOnline, nil
	previous := ""
	if reassign && resp.URL != "" && resp.URL != old {
		if u, err := url.Parse(resp.URL); err == nil && u.Host != "" {
			previous, e.url, e.updated = old, u, time.Now()
			e.token, e.tunnelID, e.wireOpts = resp.Extra.Token, resp.Extra.TunnelID, resp.Opts
		}
	}
	e.mu.Unlock()
	if previous != "" {
		e.session.log.Warn("the server gave the endpoint another URL", "url", resp.URL, "previous", previous)
	}
	if was != EndpointOnline || previous != "" {
		e.changed(EndpointOnline, nil, previous)
	}
}

// failed notes that the server has refused the endpoint after a reconnect.
func (e *endpoint) failed(err error) {
	e.mu.Lock()
	if e.isClosing {
		e.mu.Unlock()
		return
	}
	was := e.state
	e.state, e.err = EndpointFailed, coded(err)
	e.mu.Unlock()
	if was != EndpointFailed {
		e.session.log.Warn("the server refuses an endpoint; trying again", "url", e.URL().String(), "err", err)
	}
	e.changed(EndpointFailed, coded(err), "")
}

func (e *endpoint) changed(state EndpointState, err error, previous string) {
	e.session.emit(&EventEndpointStateChanged{
		baseEvent: event(EventTypeEndpointStateChanged), Endpoint: e.public, State: state, Err: err, PreviousURL: previous,
	})
}

// stopTaking makes the endpoint refuse new connections because of cause.
func (e *endpoint) stopTaking(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopTakingLocked(cause)
}

func (e *endpoint) stopTakingLocked(cause error) {
	if !e.isClosing {
		e.isClosing, e.err = true, cause
		close(e.closing)
	}
}

// closed ends the endpoint; the first cause is kept. Accept returns it.
func (e *endpoint) closed(cause error) {
	e.mu.Lock()
	if e.isDone {
		e.mu.Unlock()
		return
	}
	e.stopTakingLocked(coded(cause))
	e.isDone, e.state, cause = true, EndpointClosed, e.err
	empty := len(e.conns) == 0
	e.mu.Unlock()
	if empty {
		e.session.gone(e)
	}
	e.session.agent.remove(e)
	if e.cleanup != nil {
		e.cleanup()
	}
	e.changed(EndpointClosed, cause, "")
	close(e.done)
}

// drain takes the endpoint offline, waits for its connections until ctx ends,
// cuts those that are left, and ends the endpoint.
func (e *endpoint) drain(ctx context.Context, cause error) {
	e.stopTaking(coded(cause))
	if err := e.session.unbind(ctx, e, true); err != nil {
		e.session.log.Debug("taking an endpoint offline", "endpoint", e.TunnelID(), "err", err)
	}
	look := time.NewTicker(lookForQuiet)
	defer look.Stop()
	for waiting := true; waiting; {
		e.mu.Lock()
		idle, open := e.idle, len(e.conns)
		var quiet []*Conn
		for c := range e.conns {
			if o := c.observer.Load(); o != nil && o.quiet() {
				quiet = append(quiet, c)
			}
		}
		e.mu.Unlock()
		if open == 0 {
			break
		}
		for _, c := range quiet { // kept alive, but not used
			_ = c.stream.Close() // never fails
		}
		select {
		case <-idle:
		case <-look.C:
		case <-ctx.Done():
			waiting = false
		}
	}
	e.mu.Lock()
	left := make([]*Conn, 0, len(e.conns))
	for c := range e.conns {
		left = append(left, c)
	}
	e.mu.Unlock()
	for _, c := range left {
		c.stream.Abort()
	}
	e.closed(cause)
}

// serve takes a forwarded connection; it reports false if it does not.
func (e *endpoint) serve(k *link, st *mux.Stream, h wire.ProxyHeader) bool {
	c := &Conn{endpoint: e, link: k, stream: st, header: h, since: time.Now()}
	e.mu.Lock()
	if e.isClosing {
		e.mu.Unlock()
		return false
	}
	e.conns[c] = struct{}{}
	e.mu.Unlock()
	e.opened.Add(1)
	if e.session.observed() {
		e.session.emit(&EventConnectionOpened{
			baseEvent: event(EventTypeConnectionOpened), Endpoint: e.public, RemoteAddr: h.ClientAddr,
		})
	}
	e.take(c)
	return true
}

// finished forgets a connection.
func (e *endpoint) finished(c *Conn) {
	in, out := c.in.Load(), c.out.Load()
	e.in.Add(in)
	e.out.Add(out)
	e.mu.Lock()
	delete(e.conns, c)
	if len(e.conns) == 0 {
		close(e.idle)
		e.idle = make(chan struct{})
	}
	last := e.isDone && len(e.conns) == 0
	e.mu.Unlock()
	if last {
		e.session.gone(e)
	}
	if e.session.observed() {
		e.session.emit(&EventConnectionClosed{
			baseEvent: event(EventTypeConnectionClosed), Endpoint: e.public, RemoteAddr: c.header.ClientAddr,
			Duration: time.Since(c.since), BytesIn: in, BytesOut: out,
		})
	}
}

// observed reports whether anybody is told about connections.
func (s *session) observed() bool { return len(s.opts.handlers) > 0 }

func (e *endpoint) Agent() Agent                     { return e.session.agent }
func (e *endpoint) Bindings() []string               { return slices.Clone(e.opts.bindings) }
func (e *endpoint) Done() <-chan struct{}            { return e.done }
func (e *endpoint) Wait()                            { <-e.done }
func (e *endpoint) ID() string                       { return e.id }
func (e *endpoint) Protocol() string                 { return e.opts.proto }
func (e *endpoint) AgentTLSTermination() *tls.Config { return e.opts.agentTLS }
func (e *endpoint) TunnelSessionID() string          { return e.sessionID }
func (*endpoint) sealed()                            {}

// locked reads a field that may change while the endpoint is open.
func locked[T any](e *endpoint, field *T) T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return *field
}

func (e *endpoint) PoolingEnabled() bool  { return locked(e, &e.opts.pooling) }
func (e *endpoint) Description() string   { return locked(e, &e.opts.description) }
func (e *endpoint) Metadata() string      { return locked(e, &e.opts.metadata) }
func (e *endpoint) Name() string          { return locked(e, &e.opts.name) }
func (e *endpoint) TrafficPolicy() string { return locked(e, &e.opts.policy) }
func (e *endpoint) CreatedAt() time.Time  { return locked(e, &e.created) }
func (e *endpoint) UpdatedAt() time.Time  { return locked(e, &e.updated) }
func (e *endpoint) TunnelID() string      { return locked(e, &e.tunnelID) }

func (e *endpoint) URL() *url.URL {
	u := *locked(e, &e.url)
	return &u
}

// State implements EndpointStatus.
func (e *endpoint) State() (EndpointState, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state, e.err
}

// Stats implements EndpointStatus.
func (e *endpoint) Stats() EndpointStats {
	e.mu.Lock()
	open := len(e.conns)
	e.mu.Unlock()
	return EndpointStats{Opened: e.opened.Load(), Open: int64(open), BytesIn: e.in.Load(), BytesOut: e.out.Load()}
}

// Close implements Endpoint.
func (e *endpoint) Close() error { return e.CloseWithContext(context.Background()) }

// CloseWithContext implements Endpoint.
func (e *endpoint) CloseWithContext(ctx context.Context) error {
	e.stopTaking(nil)
	err := e.session.unbind(ctx, e, true)
	e.closed(nil)
	return coded(err)
}

// acceptError is why Accept takes nothing any more.
func (e *endpoint) acceptError() error {
	_, err := e.State()
	var withCode Error
	if errors.As(err, &withCode) {
		return err
	}
	if err != nil {
		return fmt.Errorf("accept: %w: %w", err, net.ErrClosed)
	}
	return fmt.Errorf("accept: %w", net.ErrClosed)
}
