package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	total   time.Duration
	warmup  time.Duration
	clients int
	share   float64
	body    int64
	slope   float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && (args[0] == roleServer || args[0] == roleAgent) {
		return serve(ctx, args)
	}
	s := settings{}
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.DurationVar(&s.total, "for", 30*time.Minute, "how long the load with faults lasts")
	f.DurationVar(&s.warmup, "warm-up", 0, "how long memory is not judged at first (default: a fifth of --for)")
	f.IntVar(&s.clients, "clients", 32, "clients, half of them HTTP/1.1 and half HTTP/2")
	f.Float64Var(&s.share, "share", 0.8, "part of the measured capacity that is used")
	f.Float64Var(&s.slope, "slope", 1, "growth of memory in percent an hour that is too much")
	f.Func("body", "size of the large bodies, such as 512MiB (default 10GiB; 0 for none)", func(text string) (err error) {
		s.body, err = size(text)
		return err
	})
	s.body = 10 << 30
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.warmup == 0 {
		s.warmup = s.total / 5
	}
	return soak(ctx, s)
}

// size reads a number of bytes with an optional unit.
func size(text string) (int64, error) {
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(text, unit); ok {
			v, err := strconv.ParseInt(n, 10, 64)
			return v << (10 * (i + 1)), err
		}
	}
	return strconv.ParseInt(text, 10, 64)
}
