package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	endpoints int
	domains   int
	samples   int
	seconds   float64
	bin       string
	database  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var o options
	flag.IntVar(&o.endpoints, "endpoints", 100_000, "endpoints that stand on the server")
	flag.IntVar(&o.domains, "domains", 10_000, "reserved domains")
	flag.IntVar(&o.samples, "samples", 200, "repetitions of what is timed one by one")
	flag.Float64Var(&o.seconds, "seconds", 5, "how long policies change, and agents bind")
	flag.StringVar(&o.bin, "bin", "bin", "folder with culvertd (make build)")
	flag.StringVar(&o.database, "database", "", "URL of an empty PostgreSQL database to use instead of SQLite")
	flag.Parse()
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "control:", err)
		os.Exit(1)
	}
}

// run measures and prints: first an empty server, then a full one that has been started anew.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "culvert-control-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left lies among the temporary files
	s := &server{program: filepath.Join(o.bin, "culvertd"), dir: dir, database: o.database}
	ready, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer func() { s.stop() }()
	empty := s.memory()
	fmt.Printf("empty: ready after %s, %.1f MiB\n", round(ready), mib(empty))
	if err := s.changes(ctx, o.samples); err != nil {
		return err
	}
	if err := s.fill(ctx, o); err != nil {
		return err
	}
	s.stop()
	if ready, err = s.start(ctx); err != nil {
		return err
	}
	full := s.memory()
	fmt.Printf("%d endpoints, %d domains: ready after %s, %.1f MiB, %.2f KiB more for each endpoint\n",
		o.endpoints, o.domains, round(ready), mib(full), float64(full-empty)/1024/float64(max(o.endpoints, 1)))
	if err := s.changes(ctx, o.samples); err != nil {
		return err
	}
	if err := s.lists(ctx, o); err != nil {
		return err
	}
	limit := time.Duration(o.seconds * float64(time.Second))
	if err := s.storm(ctx, limit); err != nil {
		return err
	}
	return s.binds(ctx, limit)
}

// times are those of one step, as it was repeated.
type times []time.Duration

func (t times) String() string {
	if len(t) == 0 {
		return "-"
	}
	slices.Sort(t)
	return fmt.Sprintf("%s (p99 %s)", round(t[len(t)/2]), round(t[len(t)*99/100]))
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
