package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/agent/console"
	"github.com/culvert-project/culvert/internal/agent/stats"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// The view is drawn every redraw, since rates fade and windows change their
// size, and at once when something happens, but not more often than every
// settle: thousands of connections a second must not mean as many draws.
const (
	redraw = 250 * time.Millisecond
	settle = 100 * time.Millisecond
)

// maxRequests bounds the HTTP requests that the view keeps.
const maxRequests = 50

// monitor turns events into log lines, lines of JSON and the state of the view.
// Its fields belong to the goroutine of run.
type monitor struct {
	queue *queue
	log   *slog.Logger
	// resized receives a value when the terminal has another size.
	resized <-chan os.Signal
	lines   *lines          // nil: no lines of JSON
	view    *console.Screen // nil: no view

	specs    map[string]config.Spec // by name
	rows     map[string]int         // name to its row in state.Forwards
	state    console.State
	conns    stats.Conns
	drawn    time.Time // when the view was drawn last
	joins    uint64
	retryAt  time.Time     // when the first connection is tried again; zero: not
	stopping bool          // the run has begun to end
	leg      culvert.State // last state of the first connection that was shown

	// ended receives why the session has ended for good; it has room for one.
	ended chan error
}

func newMonitor(c *Config) *monitor {
	m := &monitor{
		queue: newQueue(), log: c.Logger, view: c.View, resized: c.Resized,
		specs: map[string]config.Spec{}, rows: map[string]int{},
		state: console.State{Program: "culvert", Status: string(culvert.StateConnecting), Version: c.Version},
		ended: make(chan error, 1),
	}
	if c.Lines != nil {
		m.lines = &lines{w: c.Lines}
	}
	for i, s := range c.Specs {
		m.specs[s.Name], m.rows[s.Name] = s, i
		f := console.Forward{Name: s.Name, Upstream: s.Upstream.String(), Pooled: s.Pooling}
		if len(s.Bindings) > 0 {
			f.Binding = s.Bindings[0]
		}
		m.state.Forwards = append(m.state.Forwards, f)
	}
	return m
}

// run shows events until ctx ends, and then those that are still waiting.
func (m *monitor) run(ctx context.Context) {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	m.draw()
	for {
		select {
		case <-m.queue.ready:
			m.drain()
		case <-tick.C:
			m.draw()
		case <-m.resized:
			m.draw()
		case <-ctx.Done():
			m.drain()
			if m.view != nil {
				m.view.Close()
			}
			return
		}
	}
}

func (m *monitor) drain() {
	events, dropped := m.queue.take()
	for _, e := range events {
		m.handle(e)
	}
	if dropped > 0 {
		m.log.Warn("too many connections to show each of them", "obj", "join", "not_shown", dropped)
	}
	if time.Since(m.drawn) >= settle {
		m.draw()
	}
}

func (m *monitor) draw() {
	if m.view == nil {
		return
	}
	m.drawn = time.Now()
	m.state.Conns = m.conns.Snapshot(m.drawn)
	if !m.retryAt.IsZero() {
		m.state.Trouble.RetryIn = max(time.Until(m.retryAt), 0)
	}
	m.view.Draw(m.state)
}

// handle shows one event.
func (m *monitor) handle(event culvert.Event) {
	switch e := event.(type) {
	case stopping:
		m.stopping = true
		m.retryAt, m.state.Trouble = time.Time{}, console.Trouble{}
		m.state.Status = "stopping (open connections may finish; Ctrl+C again ends them)"
	case *culvert.EventAgentStateChanged:
		m.connection(e)
	case *culvert.EventAgentConnectSucceeded:
		m.connected(e)
	case *culvert.EventAgentDisconnected:
		m.disconnected(e)
	case *culvert.EventAgentHeartbeatReceived:
		m.state.Latency = e.Latency
	case *culvert.EventEndpointStateChanged:
		m.endpoint(e)
	case *refused:
		m.refused(e)
	case *culvert.EventConnectionOpened:
		m.conns.Opened(e.Timestamp())
		m.joins++
		m.log.Info("join connections", "obj", "join", "id", joinID(m.joins), "l", m.upstream(e.Endpoint), "r", e.RemoteAddr)
	case *culvert.EventConnectionClosed:
		m.conns.Closed(e.Duration)
		m.log.Debug("closed connections", "obj", "join", "r", e.RemoteAddr, "dur", e.Duration, "in", e.BytesIn, "out", e.BytesOut)
	case *culvert.EventUpstreamDialComplete:
		m.reached(e.Endpoint, e.Err)
	case *culvert.EventUpstreamTLSHandshakeComplete:
		m.reached(e.Endpoint, e.Err)
	case *culvert.EventHTTPRequestComplete:
		m.request(e, e.Timestamp())
	case *served:
		m.request(&e.EventHTTPRequestComplete, e.at)
	}
}

// reached notes whether an endpoint's upstream took a connection.
func (m *monitor) reached(e culvert.Endpoint, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	down := ""
	if err != nil {
		down = err.Error()
		m.log.Warn("failed to open private leg", "obj", "join", "privaddr", m.upstream(e), "err", err)
	}
	if i, ok := m.rows[e.Name()]; ok {
		m.state.Forwards[i].Down = down
	}
}

func (m *monitor) upstream(e culvert.Endpoint) string {
	return m.specs[e.Name()].Upstream.String()
}

// showsRequests reports whether anybody sees the HTTP requests.
//
//nolint:contextcheck // only the level counts
func (m *monitor) showsRequests() bool {
	return m.view != nil || m.log.Enabled(context.Background(), slog.LevelDebug)
}

func (m *monitor) request(e *culvert.EventHTTPRequestComplete, at time.Time) {
	m.log.Debug("request", "obj", "http", "name", e.Endpoint.Name(), "method", e.Method, "path", e.Path, "status", e.StatusCode, "dur", e.Duration)
	if m.view == nil {
		return
	}
	r := console.Request{At: at, Name: e.Endpoint.Name(), Method: e.Method, Path: e.Path, Status: e.StatusCode, Took: e.Duration}
	m.state.Requests = append([]console.Request{r}, m.state.Requests[:min(len(m.state.Requests), maxRequests-1)]...)
}

// connection follows the first connection of the session; further legs are
// logged only.
func (m *monitor) connection(e *culvert.EventAgentStateChanged) {
	leg := e.Leg
	if leg.State == culvert.StateConnecting || leg.State == culvert.StateReconnecting {
		if leg.Err != nil && leg.Attempt > 0 {
			m.log.Warn("failed to reconnect session", "obj", "csess", "addr", leg.Address, "err", leg.Err, "attempt", leg.Attempt, "retry_in", rounded(leg.RetryIn),
				"remedy", remedy(leg.Err))
		}
	}
	if leg.Number != 0 {
		return
	}
	if leg.Region != "" {
		m.state.Region = leg.Region
	}
	m.state.Latency = leg.Latency
	if !m.stopping {
		m.state.Status = string(leg.State)
		m.retryAt, m.state.Trouble = time.Time{}, console.Trouble{}
		if leg.Err != nil && leg.State != culvert.StateClosed {
			m.state.Trouble = trouble(leg.Err)
			m.retryAt = e.Timestamp().Add(leg.RetryIn)
		}
	}
	if leg.State != m.leg {
		m.leg = leg.State
		m.lines.session(e)
	}
	if leg.State == culvert.StateClosed {
		select {
		case m.ended <- leg.Err:
		default:
		}
	}
}

func (m *monitor) connected(e *culvert.EventAgentConnectSucceeded) {
	if d, ok := e.Session.(culvert.AgentSessionDetails); ok {
		m.state.Account = d.AccountName()
		if d.PlanName() != "" {
			m.state.Account += " (Plan: " + d.PlanName() + ")"
		}
		m.state.Region, m.state.Notice = d.Region(), d.Banner()
		if d.Banner() != "" {
			m.log.Info("notice of the server", "obj", "tunnels.session", "text", d.Banner())
		}
	}
	m.log.Info("tunnel session started", "obj", "tunnels.session")
	m.log.Info("client session established", "obj", "csess", "id", e.Session.ID())
	for _, w := range e.Session.Warnings() {
		m.log.Warn("the server warns", "obj", "tunnels.session", "err", w)
	}
}

func (m *monitor) disconnected(e *culvert.EventAgentDisconnected) {
	if e.Error == nil {
		return
	}
	if errors.Is(e.Error, wire.ErrHeartbeatLost) {
		m.log.Error("heartbeat timeout, terminating session", "obj", "csess")
	}
	if errors.Is(e.Error, errStopping) {
		return
	}
	m.log.Warn("session closed, starting reconnect loop", "obj", "csess", "err", e.Error)
}

// endpoint follows one endpoint.
func (m *monitor) endpoint(e *culvert.EventEndpointStateChanged) {
	name := e.Endpoint.Name()
	i, ok := m.rows[name]
	if !ok {
		return
	}
	row, url := &m.state.Forwards[i], e.Endpoint.URL().String()
	switch e.State {
	case culvert.EndpointOnline:
		switch {
		case e.PreviousURL != "":
			m.log.Warn("started tunnel", "obj", "tunnels", "name", name, "addr", row.Upstream, "url", url, "reconnect", true, "previous", e.PreviousURL)
		case row.Problem != "" && row.URL != "":
			m.log.Info("tunnel is online again", "obj", "tunnels", "name", name, "addr", row.Upstream, "url", url)
		default:
			m.log.Info("started tunnel", "obj", "tunnels", "name", name, "addr", row.Upstream, "url", url)
		}
		row.URL, row.Problem = url, ""
	case culvert.EndpointFailed:
		row.Problem = text(e.Err)
		m.log.Error("failed to start tunnel", "obj", "tunnels", "name", name, "addr", row.Upstream, "url", url, "err", e.Err)
	case culvert.EndpointClosed:
		row.Problem = "closed"
		if e.Err != nil && !errors.Is(e.Err, errStopping) {
			row.Problem = text(e.Err)
			m.log.Warn("tunnel closed", "obj", "tunnels", "name", name, "url", url, "err", e.Err)
		}
	}
	m.lines.endpoint(e, row.Upstream)
}

// refused follows an endpoint that has not been online yet.
func (m *monitor) refused(e *refused) {
	i, ok := m.rows[e.name]
	if !ok {
		return
	}
	row := &m.state.Forwards[i]
	row.Problem = text(e.err) + "; trying again"
	m.log.Error("failed to start tunnel", "obj", "tunnels", "name", e.name, "addr", row.Upstream, "err", e.err, "retry_in", rounded(e.retryIn))
	m.lines.refused(e, row.Upstream)
}

// rounded gives a wait as a person reads it.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// trouble says why there is no session.
func trouble(err error) console.Trouble {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return console.Trouble{Cause: err.Error()}
	}
	return console.Trouble{Cause: f.Message, Remedy: f.Remedy, Code: string(f.Code)}
}

// remedy returns what to do about an error, where that is known.
func remedy(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Remedy
	}
	return ""
}

// text gives an error as a phrase for the view.
func text(err error) string {
	if err == nil {
		return "failed"
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Error()
	}
	return err.Error()
}
