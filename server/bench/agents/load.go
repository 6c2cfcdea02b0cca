package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert"
)

// startersAtOnce is how many agents connect at once at first. When they come
// back nobody holds them up.
const startersAtOnce = 64

// agentsGC is GOGC of the agents. Elsewhere each is a process of its own with a
// heap that is hardly ever collected; thousands in one are all looked at again
// and again while they come online.
const agentsGC = 400

// count is what the agents' process tells whenever it has changed.
type count struct {
	Online   int // agents with a session and an endpoint
	Connects int // sessions so far
}

// loadArgs is the number of arguments of load.
const loadArgs = 4

// load is the agents' process. The arguments are their number, the server's
// address, the file of its CA and a folder for profiles, which may be "".
// It ends with its standard input.
func load(ctx context.Context, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(args[2]) //nolint:gosec // the program names the file
	if err != nil {
		return err
	}
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(text)
	var online, connects atomic.Int64
	opts := []culvert.AgentOption{
		culvert.WithAuthtoken(token), culvert.WithAgentConnectURL(args[1]), culvert.WithAgentConnectCAs(ca),
		culvert.WithEventHandler(func(e culvert.Event) {
			switch e.(type) {
			case *culvert.EventAgentConnectSucceeded:
				online.Add(1)
				connects.Add(1)
			case *culvert.EventAgentDisconnected:
				online.Add(-1)
			}
		}),
	}
	debug.SetGCPercent(agentsGC)
	endProfile, err := cpuProfile(args[3], "load")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the program that started us
		cancel(context.Canceled)
	}()
	var wg sync.WaitGroup
	free := make(chan struct{}, startersAtOnce)
	wg.Go(func() {
		defer endProfile()
		for range n {
			free <- struct{}{}
			wg.Go(func() {
				defer func() { <-free }()
				if err := one(ctx, opts); err != nil {
					cancel(err)
				}
			})
		}
	})
	tell(ctx, &online, &connects)
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// one starts an agent with an endpoint of a random name.
func one(ctx context.Context, opts []culvert.AgentOption) error {
	a, err := culvert.NewAgent(opts...)
	if err != nil {
		return err
	}
	_, err = a.Listen(ctx)
	return err
}

// tell prints the counts until ctx ends.
func tell(ctx context.Context, online, connects *atomic.Int64) {
	out := json.NewEncoder(os.Stdout)
	last := count{Online: -1}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		now := count{Online: int(online.Load()), Connects: int(connects.Load())}
		if now != last {
			_ = out.Encode(now) // who listens is gone
			last = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// fleet is the agents' process, seen from outside.
type fleet struct {
	process
	mu      sync.Mutex
	now     count
	changed chan struct{}
	err     error
}

func startAgents(n int, at info, profile string) (*fleet, error) {
	f := &fleet{changed: make(chan struct{}, 1)}
	if err := f.start("load", strconv.Itoa(n), at.Agent, at.CA, profile); err != nil {
		return nil, err
	}
	go func() {
		for {
			var c count
			err := f.answer(&c)
			f.mu.Lock()
			f.now, f.err = c, err
			f.mu.Unlock()
			select {
			case f.changed <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return f, nil
}

func (f *fleet) connects() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Connects
}

// await waits until so many agents are online.
func (f *fleet) await(ctx context.Context, n int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		f.mu.Lock()
		now, err := f.now, f.err
		f.mu.Unlock()
		if err != nil || now.Online == n {
			return err
		}
		select {
		case <-f.changed:
		case <-ctx.Done():
			return fmt.Errorf("%d agents are online, not %d: %w", now.Online, n, context.Cause(ctx))
		}
	}
}
