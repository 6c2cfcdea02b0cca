package culvert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// bindsAtOnce is how many endpoints one connection binds at the same time
// after it was opened again.
const bindsAtOnce = 16

// maxUnread bounds what the agent holds for applications and upstreams that
// read slowly: the full windows of 512 connections.
const maxUnread = 128 << 20

// backlog is how many new connections may wait for the accept loop. The server
// does not pace streams to our agents, so a burst has to find room.
const backlog = 1024

type wireAddress = wire.ConnectAddress

// link is one authenticated connection to a server.
type link struct {
	leg  *leg
	s    *session
	mux  *mux.Session
	peer *wire.Peer
	// stop ends the link's own goroutines.
	stop    context.CancelFunc
	life    context.Context //nolint:containedctx // the lifetime of the connection
	running sync.WaitGroup

	since      time.Time
	features   atomic.Pointer[wire.Features]
	holds      map[*endpoint]bool // endpoints that are bound here; guarded by session.mu
	firstRound chan struct{}      // closed when every endpoint was tried once
	ending     atomic.Bool        // the server's command to end was obeyed
}

// agreed returns the extensions that both sides understand.
func (k *link) agreed() wire.Features {
	if f := k.features.Load(); f != nil {
		return *f
	}
	return wire.Features{}
}

// offeredFeatures are the extensions that this agent understands.
func offeredFeatures() wire.Features {
	return wire.Features{FaultRecord: true, ReassignURL: true}
}

// dialLink opens a connection and starts the protocol on it.
func (l *leg) dialLink(ctx context.Context) (*link, error) {
	conn, err := l.s.opts.dialServer(ctx, l.addr)
	if err != nil {
		return nil, err
	}
	k := &link{
		leg: l, s: l.s, mux: mux.New(conn, mux.Config{Role: mux.Client, Backlog: backlog, MaxUnread: maxUnread}), since: time.Now(),
		holds: map[*endpoint]bool{}, firstRound: make(chan struct{}),
	}
	k.peer = wire.NewPeer(k.mux)
	k.life, k.stop = context.WithCancel(l.s.life)
	k.running.Go(func() { _ = k.mux.Run(k.life) })
	k.running.Go(func() {
		_ = k.peer.Serve(k.life, wire.Handler{RPC: k.command, Sent: k.commandAnswered, Proxy: k.connection})
	})
	k.running.Go(k.beat)
	return k, nil
}

// beat keeps the heartbeat going and ends the connection when it is lost.
func (k *link) beat() {
	err := k.peer.Heartbeat(k.life, k.s.opts.heartbeatInterval, k.s.opts.heartbeatTolerance, func(rtt time.Duration) {
		k.leg.setLatency(rtt)
		if k.leg.number == 0 {
			k.s.emit(&EventAgentHeartbeatReceived{
				baseEvent: event(EventTypeAgentHeartbeatReceived), Agent: k.s.agent, Session: k.s.info, Latency: rtt,
			})
		}
	})
	if k.life.Err() != nil {
		return
	}
	code := frame.NoError
	if errors.Is(err, wire.ErrHeartbeatLost) {
		code = frame.PeerEOF // nobody hears a goodbye, so none is waited for
	}
	k.mux.CloseWith(code, err)
}

// close ends the connection and waits for its goroutines.
func (k *link) close(cause error) {
	if cause != nil && k.s.life.Err() == nil {
		k.mux.CloseWith(frame.NoError, cause)
	}
	_ = k.mux.Close()
	k.stop()
	k.running.Wait()
}

// dead reports whether the connection has ended.
func (k *link) dead() bool {
	select {
	case <-k.mux.Done():
		return true
	default:
		return false
	}
}

// authenticate presents the agent to the server.
func (k *link) authenticate(ctx context.Context) (wire.AuthResp, error) {
	o := &k.s.opts
	clientID, cookie := k.s.identity()
	supported, unsupported := "", "the application has not enabled remote commands"
	command := &supported
	if o.rpcHandler == nil {
		command = &unsupported
	}
	offered := offeredFeatures()
	client, agentList := o.userAgent()
	req := wire.Auth{
		Version:  wire.Versions(),
		ClientId: clientID,
		Extra: wire.AuthExtra{
			OS: runtime.GOOS, Arch: runtime.GOARCH, Authtoken: o.authtoken,
			Version: client.version, ClientType: client.name, UserAgent: agentList,
			Metadata: o.metadata, Cookie: cookie,
			HeartbeatInterval:      positive(o.heartbeatInterval, wire.DefaultHeartbeatInterval),
			HeartbeatTolerance:     positive(o.heartbeatTolerance, wire.DefaultHeartbeatTolerance),
			UpdateUnsupportedError: command, StopUnsupportedError: command, RestartUnsupportedError: command,
			CustomCAs: o.connectCAs != nil || o.fingerprint != "",
			LegNumber: uint32(k.leg.number), //nolint:gosec // at most maxLegs
			Culvert:   &offered,
		},
	}
	var resp wire.AuthResp
	if err := k.peer.Call(ctx, wire.TypeAuth, req, &resp); err != nil {
		if k.dead() {
			err = fmt.Errorf("%w (%w)", err, k.mux.Err())
		}
		return resp, fault.Wrap(err, fault.ConnectFailed, k.leg.addr, err)
	}
	if f := fault.ParseWire(resp.Error); f != nil {
		return resp, f
	}
	agreed := offered.Agree(resp.Extra.Culvert)
	k.features.Store(&agreed)
	return resp, nil
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// bind asks the server for an endpoint.
func (k *link) bind(ctx context.Context, req wire.Bind) (wire.BindResp, error) {
	var resp wire.BindResp
	if err := k.peer.Call(ctx, wire.TypeBind, req, &resp); err != nil {
		return resp, fmt.Errorf("bind: %w", err)
	}
	if f := fault.ParseWire(resp.Error); f != nil {
		return resp, f
	}
	return resp, nil
}

// unbind takes an endpoint offline.
func (k *link) unbind(ctx context.Context, id string) error {
	var resp wire.UnbindResp
	if err := k.peer.Call(ctx, wire.TypeUnbind, wire.Unbind{Id: id}, &resp); err != nil {
		if k.dead() {
			return nil
		}
		return fmt.Errorf("unbind: %w", err)
	}
	if f := fault.ParseWire(resp.Error); f != nil {
		return f
	}
	return nil
}

// startBinding keeps all endpoints of the session bound on this connection.
func (k *link) startBinding() { k.running.Go(k.keepBound) }

// retry is an endpoint that the server has refused.
type retry struct {
	delay backoff.Backoff
	next  time.Time
}

func (k *link) keepBound() {
	refused := map[*endpoint]*retry{}
	first := true
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		missing, next, changed := k.missing(refused)
		k.bindAll(missing, refused)
		if first {
			close(k.firstRound)
			first = false
		}
		if len(missing) > 0 {
			continue
		}
		wait := time.Hour // nothing is due
		if !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-k.mux.Done():
			return
		case <-k.life.Done():
			return
		}
	}
}

// missing returns the endpoints to be bound now, when the next one is due, and
// a channel that is closed at the next change.
func (k *link) missing(refused map[*endpoint]*retry) (now []*endpoint, next time.Time, changed <-chan struct{}) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	for e := range refused {
		if k.s.endpoints[e.id] != e {
			delete(refused, e)
		}
	}
	if k.dead() {
		return nil, next, k.s.changed
	}
	for _, e := range k.s.endpoints {
		if k.holds[e] {
			continue
		}
		if r := refused[e]; r != nil && time.Until(r.next) > 0 {
			if next.IsZero() || r.next.Before(next) {
				next = r.next
			}
			continue
		}
		now = append(now, e)
	}
	return now, next, k.s.changed
}

// bindAll binds endpoints again, several at once, and notes the refused ones.
func (k *link) bindAll(all []*endpoint, refused map[*endpoint]*retry) {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, bindsAtOnce)
	for i, e := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = k.rebind(e)
		})
	}
	wg.Wait()
	for i, e := range all {
		if errs[i] == nil {
			delete(refused, e)
			continue
		}
		r := refused[e]
		if r == nil {
			r = &retry{}
			refused[e] = r
		}
		r.next = time.Now().Add(r.delay.Next())
	}
}

// rebind binds an endpoint of the session on this connection.
func (k *link) rebind(e *endpoint) error {
	resp, err := k.bind(k.life, e.bindRequest())
	if k.life.Err() != nil || k.dead() {
		return k.mux.Err()
	}
	if err != nil {
		if !k.s.heldElsewhere(e) {
			e.failed(err)
		}
		return err
	}
	k.s.mu.Lock()
	gone := k.s.endpoints[e.id] != e
	if !gone {
		k.holds[e] = true
	}
	k.s.mu.Unlock()
	if gone { // closed while it was being bound
		ctx, cancel := context.WithTimeout(k.life, unbindWait)
		defer cancel()
		return k.unbind(ctx, e.id)
	}
	e.rebound(resp, k.agreed().ReassignURL)
	return nil
}

// heldElsewhere reports whether another connection serves the endpoint.
func (s *session) heldElsewhere(e *endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.legs {
		if l.link != nil && l.link.holds[e] {
			return true
		}
	}
	return false
}

// connection takes a forwarded connection.
func (k *link) connection(st *mux.Stream) {
	h, err := wire.ReadProxyHeader(st)
	if err != nil {
		_ = st.Close() // never fails
		return
	}
	_ = st.SetReadDeadline(time.Time{}) // never fails
	e := k.s.lookup(h.Id)
	if e == nil || !e.serve(k, st, h) {
		_ = st.Close() // never fails
	}
}

// command answers a request of the server.
func (k *link) command(ctx context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	switch t {
	case wire.TypeStopTunnel:
		var m wire.StopTunnel
		if err := json.Unmarshal(body, &m); err == nil {
			k.stopTunnel(m)
		}
		return nil, wire.ErrNoAnswer
	case wire.TypeStop, wire.TypeRestart, wire.TypeUpdate:
		return k.remoteCommand(ctx, t, body)
	default:
		return nil, wire.ErrRefuseType
	}
}

// stopTunnel ends an endpoint because the server says so.
func (k *link) stopTunnel(m wire.StopTunnel) {
	e := k.s.lookup(m.Id) // it may overtake the answer to the bind
	if e == nil {
		return
	}
	why := fault.ParseWire(m.Message + "\r\n\r\n" + m.ErrorCode + "\r\n")
	_ = k.s.unbind(k.life, e, false) // tells nobody, so it cannot fail
	e.closed(coded(why))
}

// commandAnswered ends the session after the answer to Stop or Restart.
func (k *link) commandAnswered(wire.ReqType) {
	if k.ending.Load() {
		k.s.spawn(func() { k.s.drain(errStopped) })
	}
}

// hostAndProgram is the display text for an endpoint that the application
// itself serves.
var hostAndProgram = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	program, err := os.Executable()
	if err != nil {
		program = "unknown"
	}
	return fmt.Sprintf("app://%s%s?pid=%d", host, slashed(program), os.Getpid())
})
