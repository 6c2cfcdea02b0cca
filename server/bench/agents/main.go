package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	agents  int
	idle    time.Duration
	limit   time.Duration
	profile string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	isChild, err := child(ctx, os.Args)
	if !isChild {
		var o options
		flag.IntVar(&o.agents, "agents", 10_000, "agents, with one endpoint each")
		flag.DurationVar(&o.idle, "idle", 2*time.Minute, "how long the agents idle between the two measurements of memory")
		flag.DurationVar(&o.limit, "limit", 2*time.Minute, "how long the agents may take to come online")
		flag.StringVar(&o.profile, "profile", "", "folder for profiles of the way online, and of the memory then")
		flag.Parse()
		err = run(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agents:", err)
		os.Exit(1)
	}
}

// child does the work of a process that this program has started, and reports
// whether it is one.
func child(ctx context.Context, args []string) (is bool, err error) {
	switch {
	case len(args) == 2+serveArgs && args[1] == "serve":
		return true, serve(ctx, args[2:])
	case len(args) == 2+loadArgs && args[1] == "load":
		return true, load(ctx, args[2:])
	}
	return false, nil
}

// run measures and prints.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "culvert-agents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left lies among the temporary files
	srv, err := startServer(dir, "", o.profile)
	if err != nil {
		return err
	}
	defer func() { srv.stop(os.Kill) }()
	empty, err := srv.ask("memory")
	if err != nil {
		return err
	}
	agents, err := startAgents(o.agents, srv.info, o.profile)
	if err != nil {
		return err
	}
	defer agents.stop(os.Kill)
	start := time.Now()
	if err := agents.await(ctx, o.agents, o.limit); err != nil {
		return err
	}
	row("online", o.agents, time.Since(start), srv, agents)
	if err := idle(ctx, o, srv, empty); err != nil {
		return err
	}
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		if err := comeBack(ctx, o, dir, &srv, agents, sig); err != nil {
			return err
		}
	}
	return nil
}

// idle measures the server's memory now, after a while, and when it has
// collected its garbage.
func idle(ctx context.Context, o options, srv *server, empty memory) error {
	show := func(name, command string) error {
		m, err := srv.ask(command)
		if err != nil {
			return err
		}
		per := func(now, before uint64) float64 { return float64(now-before) / 1024 / float64(o.agents) }
		fmt.Printf("%-26s RSS %6.1f MiB, %5.1f KiB each; live heap %5.1f, stacks %4.1f KiB each; %.2f goroutines each; %d sessions\n",
			name, float64(m.RSS)/(1<<20), per(m.RSS, empty.RSS), per(m.Heap, empty.Heap), per(m.Stacks, empty.Stacks),
			float64(m.Goroutines-empty.Goroutines)/float64(o.agents), m.Sessions)
		return nil
	}
	if err := show("as they came online", "memory"); err != nil {
		return err
	}
	for range 4 {
		select {
		case <-time.After(o.idle / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := show("idle", "memory"); err != nil {
			return err
		}
	}
	if err := show("after collection", "collect"); err != nil || o.profile == "" {
		return err
	}
	_, err := srv.ask("profile")
	return err
}

// comeBack ends the server by a signal, starts it again and waits for all.
func comeBack(ctx context.Context, o options, dir string, srv **server, agents *fleet, sig os.Signal) error {
	before := agents.connects()
	addr := (*srv).info.Agent
	(*srv).stop(sig)
	if err := agents.await(ctx, 0, o.limit); err != nil {
		return err
	}
	spent := agents.cpu()
	next, err := startServer(dir, addr, "")
	if err != nil {
		return err
	}
	*srv = next
	start := time.Now()
	if err := agents.await(ctx, o.agents, o.limit); err != nil {
		return err
	}
	row(fmt.Sprintf("back after %v", sig), agents.connects()-before, time.Since(start), next, agents)
	fmt.Printf("%-26s of which the agents have used %.1f s since the server left\n", "", (agents.cpu() - spent).Seconds())
	return nil
}

func row(name string, n int, took time.Duration, srv *server, agents *fleet) {
	fmt.Printf("%-26s %d connections in %.1f s; processor time so far: server %.1f s, agents %.1f s\n",
		name, n, took.Seconds(), srv.cpu().Seconds(), agents.cpu().Seconds())
}
