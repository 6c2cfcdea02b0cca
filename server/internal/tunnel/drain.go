package tunnel

import (
	"context"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

const (
	// drainPoll is how often a draining server looks whether streams are left.
	drainPoll = 10 * time.Millisecond
	// stagger is the pause between the goodbyes to two agents, so that they do
	// not all come back at the same moment, and maxStagger bounds the pauses in
	// all.
	stagger    = 2 * time.Millisecond
	maxStagger = 5 * time.Second
)

// Drain takes no new agents, opens no new streams, lets those that are open
// finish until ctx ends, and then says goodbye to the agents one after the
// other. Agents reconnect as soon as they hear it, so it comes last.
func (srv *Server) Drain(ctx context.Context) {
	srv.draining.Store(true)
	srv.admission.close()
	all := srv.sessions()
	for _, s := range all {
		s.waitIdle(ctx)
	}
	pause := stagger
	if n := time.Duration(len(all)); n > 0 {
		pause = min(pause, maxStagger/n)
	}
	for _, s := range all {
		s.mux.CloseWith(frame.NoError, fault.New(fault.ServerDraining))
		if len(all) > 1 {
			backoff.Sleep(ctx, pause)
		}
	}
}

// Close ends every session at once and returns when nothing of them is left. It
// is idempotent.
func (srv *Server) Close() {
	srv.mu.Lock()
	srv.closed = true
	for _, cancel := range srv.greeting {
		cancel() // it has no session yet
	}
	srv.mu.Unlock()
	srv.admission.close()
	for _, s := range srv.sessions() {
		s.mux.CloseWith(frame.NoError, fault.New(fault.ServerDraining))
	}
	srv.running.Wait()
}

// waitIdle returns when no stream to the agent is open, or when ctx or the
// session ends.
func (s *session) waitIdle(ctx context.Context) {
	for s.mux.NumOpened() > 0 {
		select {
		case <-s.mux.Done():
			return
		default:
		}
		if !backoff.Sleep(ctx, drainPoll) {
			return
		}
	}
}
