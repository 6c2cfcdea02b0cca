package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

// options are the flags.
type options struct {
	rounds  int
	seconds float64 // of one run
	bulk    int     // MiB of one download
	only    string
	before  string
	profile string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "spin" {
		for { //nolint:staticcheck // spinning is its task
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "reverse-proxy" {
		if err := reverseProxy(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the table has their median")
	flag.Float64Var(&o.seconds, "seconds", 2, "length of one run")
	flag.IntVar(&o.bulk, "bulk", 256, "MiB of one download")
	flag.StringVar(&o.only, "only", "", "rows to measure: a regular expression on their names")
	flag.StringVar(&o.before, "before", "", "folder with culvert and culvertd of another build, to be measured along")
	flag.StringVar(&o.profile, "profile", "", "folder for perf's records of edge and agent, one pair for each row")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run starts everything, measures, and prints the table.
func run(ctx context.Context, o options, out io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	if err := checkTools(o.profile != ""); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "culvert-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // a leftover of a run
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nginx's user reads the file in it
		return err
	}
	bin := filepath.Join(dir, "bin")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin+string(filepath.Separator),
		"github.com/culvert-project/culvert/cmd/culvert", "github.com/culvert-project/culvert/server/cmd/culvertd")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build culvert and culvertd: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &world{dir: dir}
	defer w.wait()
	defer cancel()
	if err := w.start(ctx, bin, o); err != nil {
		return err
	}
	m := &measuring{world: w, options: o, length: time.Duration(o.seconds * float64(time.Second)), samples: samples{}}
	fmt.Fprintln(out, machine(ctx))
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.rounds)
		for _, r := range runs {
			if !only.MatchString(r.name) {
				continue
			}
			if err := m.round(ctx, round, r); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, "Median of %d rounds of %gs; the ratio's range over the rounds in brackets; load average at the end: %s\n\n",
		o.rounds, o.seconds, loadAverage())
	fmt.Fprint(out, table(rows, m.samples, o.before != ""))
	fmt.Fprint(out, "\nµs of the processors for each request, or MB, in the processes of each way:\n\n")
	fmt.Fprint(out, table(costs, m.samples, o.before != ""))
	fmt.Fprint(out, "\nAn endpoint with a policy beside one without, 32 connections:\n\n")
	fmt.Fprint(out, policyTable(m.samples))
	return nil
}

// checkTools says what has to be installed.
func checkTools(perf bool) error {
	tools := []string{"nginx", "haproxy", "wrk", "h2load", "chrt"}
	packages := "nginx-light haproxy wrk nghttp2-client util-linux"
	if perf {
		tools, packages = append(tools, "perf"), packages+" linux-perf"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing; on Debian: apt-get install --no-install-recommends %s", tool, packages)
		}
	}
	return nil
}
