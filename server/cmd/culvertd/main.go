package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/culvert-project/culvert/internal/tty"
)

func main() {
	p := &program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.LookupEnv,
		unsetenv: func(name string) { _ = os.Unsetenv(name) }, // fails for no name of ours
		terminal: tty.Is, root: os.Geteuid() == 0, home: os.UserHomeDir,
		signals: make(chan os.Signal, 4), exit: os.Exit, called: calledAs(os.Args[0], exists),
	}
	signal.Notify(p.signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is one run of culvertd with what surrounds it, so that tests can run
// it without a process.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
	unsetenv       func(string)
	terminal       func(io.Writer) bool
	root           bool // runs as the system's administrator
	home           func() (string, error)
	signals        chan os.Signal
	exit           func(int) // for a second signal
	called         string    // how a person calls this program
}

// run runs one command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	cmd := p.command() //nolint:contextcheck // cobra hands the context to its commands
	cmd.SetArgs(args)
	cmd.SetOut(p.stdout)
	cmd.SetErr(p.stderr)
	done, err := cmd.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRefused):
		return exitRefused
	}
	printError(p.stderr, err)
	if underPolicy(done) {
		return exitFailed
	}
	return 1
}

// colours reports whether a writer is a terminal that wants colours.
func (p *program) colours(w io.Writer) bool { return p.terminal(w) && tty.Colours(p.getenv) }
