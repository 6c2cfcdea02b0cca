package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// The processes that a run starts are made of the test's binary.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	is, err := child(ctx, os.Args)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case !is:
		os.Exit(m.Run())
	}
}

// TestF34_AgentsComeBackAfterARestart is a short run: everything is measured,
// and every agent is back with its endpoint after a server that was killed and
// one that was stopped.
func TestF34_AgentsComeBackAfterARestart(t *testing.T) {
	t.Parallel()
	o := options{agents: 50, idle: 40 * time.Millisecond, limit: 2 * time.Minute, profile: t.TempDir()}
	if err := run(t.Context(), o); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"cpu-server", "cpu-load", "heap", "goroutine"} {
		if _, err := os.Stat(fmt.Sprintf("%s/agents-%s.pprof", o.profile, name)); err != nil {
			t.Errorf("profile: %v", err)
		}
	}
}
