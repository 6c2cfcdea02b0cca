package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// aRun is one kind of load, and the ways that get it in turn.
type aRun struct {
	name string
	ways []string
	load func(ctx context.Context, w way, d time.Duration) (load, error)
}

// row is a row of the table: a figure of a run, and the goal for its ratio to
// a peer.
type row struct {
	run, unit string
	peer      string
	goal      float64
	less      bool // the ratio may be the goal at most, not at least
}

const (
	http32   = "HTTP, 32 connections"
	http1    = "HTTP, 1 connection"
	https32  = "HTTPS, 32 connections"
	http2    = "HTTP/2, 32 streams"
	tcp32    = "TCP, 32 kept connections"
	newConns = "TCP, new connections"
	bulkTCP  = "TCP, one download"
	bulkHTTP = "HTTP, one download"
	policies = "HTTP, policy"
)

var runs = []aRun{
	{http32, []string{direct, httputil, haproxyHTTP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return wrk(ctx, w.http, host, 32, d)
	}},
	{http1, []string{direct, httputil, haproxyHTTP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return wrk(ctx, w.http, host, 1, d)
	}},
	{https32, []string{httputil, haproxyHTTP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return h2load(ctx, w.https, 32, 1, d, "--h1")
	}},
	{http2, []string{httputil, haproxyHTTP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return h2load(ctx, w.https, 1, 32, d)
	}},
	{tcp32, []string{direct, haproxyTCP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return wrk(ctx, w.tcp, host, 32, d)
	}},
	{newConns, []string{direct, haproxyTCP, ours}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return wrk(ctx, w.tcp, host, 32, d, "Connection: close")
	}},
	{bulkTCP, []string{direct, haproxyTCP, ours}, func(ctx context.Context, w way, _ time.Duration) (load, error) {
		return download(ctx, w.tcp)
	}},
	{bulkHTTP, []string{direct, httputil, haproxyTCP, ours}, func(ctx context.Context, w way, _ time.Duration) (load, error) {
		return download(ctx, w.http)
	}},
	{policies, []string{noPolicy, missing, onRequest, onResponse}, func(ctx context.Context, w way, d time.Duration) (load, error) {
		return wrk(ctx, w.http, w.host(), 32, d)
	}},
}

var rows = []row{
	{http32, perSecond, httputil, 1.6, false},
	{http1, p50, httputil, 0.95, true},
	{http32, p99, httputil, 0.45, true},
	{https32, perSecond, httputil, 1.5, false},
	{http2, perSecond, httputil, 1.5, false},
	{tcp32, perSecond, haproxyTCP, 0.7, false},
	{newConns, perSecond, haproxyTCP, 0.6, false},
	{bulkTCP, megabytes, haproxyTCP, 0.6, false},
	{bulkHTTP, megabytes, haproxyTCP, 0.45, false},
}

// costs are the rows of the second table, which has no goals: what a request
// or a megabyte takes of the processors.
var costs = []row{
	{run: http32, unit: cpu, peer: httputil},
	{run: https32, unit: cpu, peer: httputil},
	{run: http2, unit: cpu, peer: httputil},
	{run: tcp32, unit: cpu, peer: haproxyTCP},
	{run: newConns, unit: cpu, peer: haproxyTCP},
	{run: bulkTCP, unit: cpu, peer: haproxyTCP},
	{run: bulkHTTP, unit: cpu, peer: httputil},
}

// measuring carries out runs.
type measuring struct {
	*world
	options
	length  time.Duration
	samples samples
}

// round gives every way of a run its load once. The order turns with the
// rounds, so that none always comes after the same other.
func (m *measuring) round(ctx context.Context, round int, r aRun) error {
	ways := slices.Clone(r.ways)
	for _, name := range r.ways {
		if of, mine := strings.CutPrefix(name, ours); mine && m.before != "" {
			ways = append(ways, before+of)
		}
	}
	if r.name == http1 {
		awake, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := m.keepAwake(awake); err != nil {
			return err
		}
	}
	for i := range ways {
		name := ways[(i+round)%len(ways)]
		done := m.record(ctx, round, r.name, name)
		pids := m.ways[name].pids
		limited, cancel := context.WithTimeout(ctx, m.length+time.Minute)
		used := cpuTime(pids)
		l, err := r.load(limited, m.ways[name], m.length)
		used = cpuTime(pids) - used
		cancel()
		done()
		if err != nil {
			return fmt.Errorf("%s, %s: %w", r.name, name, err)
		}
		if len(pids) > 0 {
			l[cpu] = float64(used.Microseconds()) / l[amount]
		}
		fmt.Fprintf(os.Stderr, "  %s, %s: %v\n", r.name, name, l)
		m.samples.add(r.name, name, l)
	}
	return nil
}

// record has perf look at edge and agent during the first round, if asked for.
func (m *measuring) record(ctx context.Context, round int, run, way string) (done func()) {
	if m.profile == "" || !strings.HasPrefix(way, ours) || round > 0 {
		return func() {}
	}
	var perfs []*exec.Cmd
	for i, pid := range m.ways[way].pids {
		role := [...]string{"edge", "agent"}[i]
		file := filepath.Join(m.profile, strings.NewReplacer(", ", "-", " ", "-", "/", "").Replace(run+strings.TrimPrefix(way, ours))+"."+role+".perf")
		perf := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "999", "-p", strconv.Itoa(pid), "-o", file)
		perf.Stderr = os.Stderr
		if err := perf.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "perf:", err)
			continue
		}
		perfs = append(perfs, perf)
	}
	return func() {
		for _, perf := range perfs {
			_ = perf.Process.Signal(os.Interrupt)
			_ = perf.Wait() // interrupted, as meant
		}
	}
}
