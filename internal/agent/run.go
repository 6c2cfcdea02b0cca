package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/agent/console"
	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
)

// drainTime bounds how long open connections may go on after the first signal
// (reference: agent, section 14).
const drainTime = 10 * time.Second

// answerTime bounds how long the answer to an order may take to be sent.
const answerTime = 5 * time.Second

// farewellTime is what a run that is forced to end leaves to the message that
// tells the server so: it would wait for this agent else.
const farewellTime = 100 * time.Millisecond

// leastRetry is the shortest wait before an endpoint that was refused is tried
// again.
const leastRetry = time.Second

// startsAtOnce bounds the endpoints that are bound at the same time at start.
const startsAtOnce = 8

// Config says what a run does.
type Config struct {
	Settings config.Settings
	// Proxy is the proxy on the way to the server; empty: none.
	Proxy string
	// Specs are the endpoints to start. None at all keeps the session online
	// without endpoints.
	Specs []config.Spec
	// KeepGoing lets the run go on when some endpoints cannot be bound: they
	// are tried again with growing delays.
	KeepGoing bool
	// Version is the program's version.
	Version string
	// Logger takes the log; nil: no log.
	Logger *slog.Logger
	// Lines takes one object of JSON for each change of state; nil: none.
	Lines io.Writer
	// View shows the status; nil: it is not shown. Run closes it.
	View *console.Screen
	// Resized receives a value when the terminal has changed its size. Nil: it
	// is noticed with the next regular draw.
	Resized <-chan os.Signal
	// Force, when it is closed, ends a run that is stopping without waiting for
	// what is open: the process is about to end with it. Nil: never.
	Force <-chan struct{}
	// CheckRestart tells whether a restart would work; an error refuses it.
	// Nil: restarts are refused.
	CheckRestart func() error
}

// Outcome says why a run ended without an error.
type Outcome int

// The outcomes of a run.
const (
	Stopped Outcome = iota // its context ended, or the server ordered a stop
	Restart                // the server ordered a restart
)

// errStopping is the cause with which a run ends its own session.
var errStopping = errors.New("the agent is stopping")

func isStopping(err error) bool { return errors.Is(err, errStopping) }

// code returns the code of an error, or "".
func code(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return string(f.Code)
	}
	return ""
}

// run is one run of the agent.
type run struct {
	cfg     *Config
	agent   culvert.Agent
	monitor *monitor
	order   chan Outcome // what the server ordered; room for one

	session context.Context //nolint:containedctx // the lifetime of the session
	end     context.CancelCauseFunc

	waiting sync.WaitGroup // goroutines that end with the session

	mu      sync.Mutex
	started []starting // guarded by mu
	nearby  []*files   // guarded by mu; endpoints served by the agent itself
}

// starting is an endpoint that was started.
type starting struct {
	name     string
	endpoint culvert.Endpoint
}

// Run opens a session, starts the endpoints and keeps them online until ctx
// ends or the server orders otherwise. When ctx ends, endpoints go offline at
// once and open connections may finish for ten seconds. An error means that
// the run could not start or cannot go on: a refused token, an endpoint that
// cannot be bound. It is a fault wherever the server or the configuration is to
// blame.
func Run(ctx context.Context, c Config) (Outcome, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r := &run{cfg: &c, monitor: newMonitor(&c), order: make(chan Outcome, 1)}
	r.session, r.end = context.WithCancelCause(context.WithoutCancel(ctx))
	defer r.end(errStopping)

	var shown sync.WaitGroup
	showing, stopShowing := context.WithCancel(context.WithoutCancel(ctx))
	defer shown.Wait()
	defer stopShowing()
	shown.Go(func() { r.monitor.run(showing) })

	var err error
	if r.agent, err = culvert.NewAgent(r.agentOptions()...); err != nil {
		return Stopped, err
	}
	out, err := r.serve(ctx)
	r.close()
	reason := "signal"
	switch {
	case err != nil:
		reason = "error"
	case out == Restart:
		reason = "restart"
	case ctx.Err() == nil:
		reason = "server"
	}
	r.monitor.lines.stopped(reason)
	return out, err
}

// serve connects, starts the endpoints and waits for a reason to end.
func (r *run) serve(ctx context.Context) (Outcome, error) {
	connecting, cancel := context.WithCancelCause(r.session)
	defer context.AfterFunc(ctx, func() {
		if _, err := r.agent.Session(); err != nil {
			cancel(errStopping) // nothing to be finished yet
		}
	})()
	if err := r.agent.Connect(connecting); err != nil { //nolint:contextcheck // the session outlives ctx, to drain
		if ctx.Err() != nil {
			return Stopped, nil
		}
		return Stopped, err
	}
	defer cancel(errStopping)
	if err := r.startAll(ctx); err != nil {
		select {
		case out := <-r.order: // the session ended under the last starts by order
			r.obey(ctx)
			return out, nil
		default:
		}
		if ctx.Err() != nil {
			return Stopped, nil
		}
		return Stopped, err
	}
	select {
	case <-ctx.Done():
		return Stopped, nil
	case out := <-r.order:
		r.obey(ctx)
		return out, nil
	case err := <-r.monitor.ended:
		return r.sessionEnded(err)
	case err := <-r.allClosed():
		return r.sessionEnded(err)
	}
}

// obey waits until the SDK has answered an order and ended the session, as it
// does by itself: cutting in would lose the answer.
func (r *run) obey(ctx context.Context) {
	timer := time.NewTimer(drainTime + answerTime)
	defer timer.Stop()
	select {
	case err := <-r.monitor.ended:
		r.cfg.Logger.Debug("session ended", "obj", "csess", "err", err)
	case <-ctx.Done():
	case <-timer.C:
	}
}

// sessionEnded tells an end that the server ordered from one that is an error.
func (r *run) sessionEnded(err error) (Outcome, error) {
	select {
	case out := <-r.order:
		return out, nil
	default:
	}
	if err == nil {
		return Stopped, fault.New(fault.SessionClosed, "the server closed it")
	}
	return Stopped, err
}

// startAll brings all endpoints online, several at a time.
func (r *run) startAll(ctx context.Context) error {
	errs := make([]error, len(r.cfg.Specs))
	slots := make(chan struct{}, startsAtOnce)
	var wg sync.WaitGroup
	for i, s := range r.cfg.Specs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := r.start(ctx, s); err != nil {
				errs[i] = &StartError{Name: s.Name, URL: s.URL.String(), Err: err}
			}
		})
	}
	wg.Wait()
	failed := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if !r.cfg.KeepGoing {
			return err
		}
		failed++
	}
	if failed > 0 && failed == len(r.cfg.Specs) {
		return errors.Join(errs...)
	}
	for i, err := range errs {
		if err != nil {
			r.retry(ctx, r.cfg.Specs[i], errors.Unwrap(err))
		}
	}
	return nil
}

// retry tries an endpoint that could not be brought online again and again, in
// the background, until it is online or the run ends.
func (r *run) retry(ctx context.Context, s config.Spec, err error) {
	var delay backoff.Backoff
	r.waiting.Go(func() {
		for {
			wait := max(delay.Next(), leastRetry)
			r.monitor.queue.put(&refused{at: time.Now(), name: s.Name, err: err, retryIn: wait})
			if !backoff.Sleep(ctx, wait) {
				return
			}
			if err = r.start(ctx, s); err == nil || ctx.Err() != nil || r.session.Err() != nil {
				return
			}
		}
	})
}

// StartError is the error of an endpoint that could not be brought online.
type StartError struct {
	Name string // of the endpoint
	URL  string // that it wants; without a host if the server is to choose
	Err  error
}

// Error names the endpoint and the reason.
func (e *StartError) Error() string { return fmt.Sprintf("endpoint %s: %v", e.Name, e.Err) }

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return e.Err }

// allClosed delivers the reason of the last one when the server has closed
// every endpoint for good: nothing is left to do then. Endpoints that are still
// being tried keep the run alive.
func (r *run) allClosed() <-chan error {
	r.mu.Lock()
	started := r.started
	r.mu.Unlock()
	if len(started) == 0 || len(started) < len(r.cfg.Specs) {
		return nil
	}
	last := make(chan error, 1)
	r.waiting.Go(func() {
		for _, s := range started {
			<-s.endpoint.Done()
		}
		end := started[len(started)-1]
		var err error
		if st, ok := end.endpoint.(culvert.EndpointStatus); ok {
			_, err = st.State()
		}
		if err == nil {
			err = fault.New(fault.SessionClosed, "the server closed every endpoint")
		}
		last <- &StartError{Name: end.name, Err: err}
	})
	return last
}

// close takes everything offline, lets open connections finish and waits for
// them, unless that is forced.
func (r *run) close() {
	r.monitor.queue.put(stopping(time.Now()))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.finish()
	}()
	select {
	case <-finished:
		return
	case <-r.cfg.Force:
	}
	go func() { _ = r.agent.Disconnect() }()
	farewell := time.NewTimer(farewellTime)
	defer farewell.Stop()
	select {
	case <-finished:
	case <-farewell.C:
	}
}

// finish takes everything offline and waits until nothing is left of it.
func (r *run) finish() {
	r.mu.Lock()
	started, nearby := r.started, r.nearby
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, f := range nearby {
		wg.Go(f.close)
	}
	wg.Go(func() {
		r.end(errStopping)
		for _, s := range started {
			s.endpoint.Wait()
		}
	})
	wg.Wait()
	_ = r.agent.Disconnect()
	r.waiting.Wait()
}
