package culvert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
)

const (
	// healthy is how long a connection must have been up for the delays to
	// start over.
	healthy = time.Minute
	// flapping bounds the delay behind a connection that was up for less: the
	// server is there, so it is not waited for as for one that does not answer.
	// It lies below the 3 s for which requests wait there for the agent.
	flapping = 2 * time.Second
	// patience is how long a session that was up takes the server's final
	// refusals before it believes them: an administrator may be mending it.
	patience = time.Hour
	// maxLegs bounds the connections of a session, whatever a server names.
	maxLegs = 8
)

// leg keeps one connection of a session to a server open.
type leg struct {
	s      *session
	number int
	addr   string
	link   *link // the live connection; guarded by session.mu

	mu     sync.Mutex
	status LegStatus
}

func newLeg(s *session, number int, addr string) *leg {
	return &leg{s: s, number: number, addr: addr, status: LegStatus{
		Number: number, Address: addr, State: StateConnecting, Since: time.Now(),
	}}
}

// update changes the status and tells the handlers.
func (l *leg) update(change func(*LegStatus)) {
	l.mu.Lock()
	before := l.status.State
	change(&l.status)
	if l.status.State != before {
		l.status.Since = time.Now()
	}
	status := l.status
	l.mu.Unlock()
	e := &EventAgentStateChanged{baseEvent: event(EventTypeAgentStateChanged), Agent: l.s.agent, Leg: status}
	if clientID, _ := l.s.identity(); clientID != "" {
		e.Session = l.s.info
	}
	l.s.emit(e)
}

func (l *leg) snapshot() LegStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

func (l *leg) lastError() error { return l.snapshot().Err }

func (l *leg) setLatency(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Latency = d
}

// run connects again and again until the session ends. The outcome of the
// first connection goes to ready: nil once it is up, an error if trying again
// cannot help.
func (l *leg) run(ready chan<- error) {
	var delay backoff.Backoff
	var refused time.Time // since when the server has refused us for good
	defer func() {
		l.update(func(st *LegStatus) { st.State, st.RetryIn = StateClosed, 0 })
	}()
	for attempt := 1; ; attempt++ {
		began := time.Now()
		k, err := l.open(l.s.life)
		if err == nil {
			l.online(k)
			if ready != nil {
				ready <- nil
				ready = nil
			}
			attempt, refused = 0, time.Time{}
			err = l.serve(k)
			if time.Since(k.since) >= healthy {
				delay.Reset()
			}
			delay.Lower(flapping)
			began = time.Now()
		}
		if l.s.life.Err() != nil {
			return
		}
		if finalRefusal(err) {
			if refused.IsZero() {
				refused = time.Now()
			}
			if ready != nil || time.Since(refused) >= patience {
				l.giveUp(ready, err)
				return
			}
		} else if ready != nil && untrusted(err) {
			l.giveUp(ready, err)
			return
		}
		if !l.pause(attempt, spread(delay.Next(), time.Since(began)), ready != nil, err) {
			return
		}
	}
}

// spread is what is left to wait of a delay between the beginnings of two
// attempts, the first of which has taken so long. A busy server lets agents wait
// for their turn and turns away who has waited for too long: such an agent has
// done its waiting, and need only not come back together with all others.
func spread(delay, taken time.Duration) time.Duration {
	if taken < backoff.DefaultMin {
		return delay
	}
	return max(delay-taken, rand.N(backoff.DefaultMin))
}

// untrusted reports whether the server is not the one that was asked for.
func untrusted(err error) bool {
	return fault.Has(err, fault.ServerUntrusted) || fault.Has(err, fault.FingerprintMismatch)
}

// giveUp ends the session because of a refusal.
func (l *leg) giveUp(ready chan<- error, err error) {
	l.update(func(st *LegStatus) { st.Err = err })
	if ready != nil {
		ready <- err
		return
	}
	l.s.log.Error("the server refuses the agent for good", "server", l.addr, "err", err)
	l.s.end(err)
}

// pause waits before the next attempt; it reports false when the session ends.
func (l *leg) pause(attempt int, d time.Duration, first bool, err error) bool {
	state := StateReconnecting
	if first {
		state = StateConnecting
	}
	l.update(func(st *LegStatus) {
		st.State, st.Err, st.Attempt, st.RetryIn, st.Latency = state, coded(err), attempt, d, 0
	})
	l.s.log.Warn("no connection to the server", "server", l.addr, "leg", l.number, "attempt", attempt, "retry_in", d, "err", err)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.s.life.Done():
		return false
	}
}

// open dials, authenticates and binds the session's endpoints.
func (l *leg) open(ctx context.Context) (*link, error) {
	k, err := l.dialLink(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := k.authenticate(ctx)
	if err != nil {
		k.close(err)
		return nil, err
	}
	l.s.authenticated(resp)
	k.startBinding()
	select {
	case <-k.firstRound:
		l.mu.Lock()
		l.status.Region = resp.Extra.Region
		l.mu.Unlock()
		if l.number == 0 {
			l.s.extraLegs(resp.Extra.ConnectAddresses)
		}
		return k, nil
	case <-k.mux.Done():
		err := k.mux.Err()
		k.close(err)
		return nil, fmt.Errorf("connection lost while binding: %w", err)
	}
}

// online publishes the connection.
func (l *leg) online(k *link) {
	l.s.mu.Lock()
	l.link = k
	l.s.notify()
	l.s.mu.Unlock()
	l.update(func(st *LegStatus) {
		st.State, st.Err, st.Attempt, st.RetryIn = StateOnline, nil, 0, 0
	})
	l.s.log.Info("connected to the server", "server", l.addr, "leg", l.number, "session", l.s.info.id)
	if l.number == 0 {
		l.s.emit(&EventAgentConnectSucceeded{
			baseEvent: event(EventTypeAgentConnectSucceeded), Agent: l.s.agent, Session: l.s.info,
		})
	}
}

// serve waits for the end of the connection and returns why.
func (l *leg) serve(k *link) error {
	<-k.mux.Done()
	l.s.mu.Lock()
	l.link = nil
	l.s.notify()
	l.s.mu.Unlock()
	err := k.mux.Err()
	// Forwarded connections may take a moment to end; the next connection
	// need not wait for them.
	l.s.running.Go(func() { k.close(nil) })
	if l.s.life.Err() != nil {
		if cause := context.Cause(l.s.life); errors.Is(cause, errDisconnected) {
			err = nil
		} else {
			err = cause
		}
	}
	if l.number == 0 {
		l.s.emit(&EventAgentDisconnected{
			baseEvent: event(EventTypeAgentDisconnected), Agent: l.s.agent, Session: l.s.info, Error: err,
		})
	}
	return err
}

// extraLegs opens the further connections of a session, one after the other.
func (s *session) extraLegs(named []wireAddress) {
	if !s.opts.multiLeg {
		return
	}
	addrs := s.opts.legs
	if len(addrs) == 0 && len(named) > 1 {
		for _, a := range named[1:] { // the first one is this server
			addrs = append(addrs, a.ServerAddr)
		}
	}
	s.mu.Lock()
	started := len(s.legs) > 1
	s.mu.Unlock()
	if started || len(addrs) == 0 {
		return
	}
	var legs []*leg
	for _, addr := range addrs[:min(len(addrs), maxLegs-1)] {
		if s.hasLeg(addr) {
			continue
		}
		l, err := s.addLeg(addr)
		if err != nil {
			s.log.Warn("the server named an address that cannot be used", "addr", addr, "err", err)
			continue
		}
		legs = append(legs, l)
	}
	s.spawn(func() {
		for _, l := range legs {
			up := make(chan error, 1)
			s.spawn(func() { l.run(up) })
			next := time.NewTimer(dialWait) // a dead server holds up no other
			select {
			case err := <-up:
				if err != nil {
					s.log.Warn("a further server refuses the agent", "server", l.addr, "err", err)
				}
			case <-next.C:
			case <-s.life.Done():
			}
			next.Stop()
		}
	})
}

// hasLeg reports whether a connection to addr is kept already.
func (s *session) hasLeg(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.legs, func(l *leg) bool { return l.addr == addr })
}

// Legs implements AgentStatus.
func (a *agent) Legs() []LegStatus {
	a.mu.Lock()
	s := a.session
	a.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	legs := append([]*leg(nil), s.legs...)
	s.mu.Unlock()
	all := make([]LegStatus, 0, len(legs))
	for _, l := range legs {
		all = append(all, l.snapshot())
	}
	return all
}
