package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/tty"
)

// Program is one invocation of the agent.
type Program struct {
	// Args are the words of the command line, the program's name first.
	Args []string
	// Env holds the environment, as os.Environ gives it.
	Env []string
	// Stdin, Stdout and Stderr are the standard files.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals delivers SIGINT, SIGTERM and SIGHUP. The first one stops in
	// order; another of the former two then stops at once. While the log goes
	// to a file, SIGHUP opens that anew instead. Nil: none come.
	Signals <-chan os.Signal
	// Detached keeps SIGHUP from stopping the program, as nohup asks for.
	Detached bool
	// Exec replaces the process by a new run of the program at path; it
	// returns only if that fails. Nil: a restart runs the command again in
	// this process.
	Exec func(path string, args, env []string) error
	// Resized receives a value when the terminal has changed its size; nil: it
	// is not told.
	Resized <-chan os.Signal
	// TerminalSize tells the size of the terminal that Stdout is. Nil: found
	// out by looking at Stdout.
	TerminalSize func() (width, height int, ok bool)

	env      map[string]string
	force    chan struct{}     // closed by the second signal
	hangup   chan func() error // the function that SIGHUP calls; room for one
	jsonMode bool              // errors are shown as JSON
}

// Main runs the program with the signals of the process and returns its exit
// code.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 4)
	detached := signal.Ignored(syscall.SIGHUP)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	resized, stopWatching := watchSize()
	defer stopWatching()
	p := &Program{
		Resized: resized, Args: args, Env: env, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Signals: signals, Detached: detached, Exec: replaceProcess(),
	}
	return p.Run(ctx)
}

// Run runs the program and returns its exit code.
func (p *Program) Run(ctx context.Context) int {
	p.env = make(map[string]string, len(p.Env))
	for _, kv := range p.Env {
		if name, value, ok := strings.Cut(kv, "="); ok {
			p.env[name] = value
		}
	}
	for {
		err := p.once(ctx)
		switch {
		case err == nil:
			return 0
		case !errors.Is(err, errRestart):
			return p.fail(err)
		}
		if err := p.replace(); err != nil {
			p.warn("the program cannot be replaced, so it goes on as it is: " + err.Error())
		}
	}
}

// errRestart ends a command that the server ordered to start again.
var errRestart = errors.New("restart")

// replace lets another run of the program take the place of this one. Without
// an Exec it does nothing.
func (p *Program) replace() error {
	if p.Exec == nil {
		return nil
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	return p.Exec(path, p.Args, p.Env)
}

// once runs the command of the command line.
func (p *Program) once(ctx context.Context) error {
	p.force = make(chan struct{})
	p.hangup = make(chan func() error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	done := make(chan struct{})
	defer watching.Wait()
	defer close(done)
	watching.Go(func() { p.watchSignals(cancel, done) })

	root := p.root() //nolint:contextcheck // commands get ctx when they are executed
	if err := p.checkHyphens(root); err != nil {
		return err
	}
	if len(p.Args) > 1 && strings.HasPrefix(p.Args[1], cobra.ShellCompRequestCmd) {
		plainUsage(root)
	}
	root.SetArgs(p.Args[min(1, len(p.Args)):])
	if err := root.ExecuteContext(ctx); err != nil {
		return usage(err)
	}
	return nil
}

// watchSignals turns signals into what they mean.
func (p *Program) watchSignals(stop func(), done <-chan struct{}) {
	stopping := false
	for {
		select {
		case s := <-p.Signals:
			hangup := s == syscall.SIGHUP
			switch {
			case hangup && (p.reopen() || stopping || p.Detached):
			case stopping:
				close(p.force)
				return
			default:
				stopping = true
				stop()
			}
		case <-done:
			return
		}
	}
}

// reopen calls what a command has registered for SIGHUP. It reports whether
// there is something.
func (p *Program) reopen() bool {
	select {
	case f := <-p.hangup:
		if err := f(); err != nil {
			p.warn("the log could not be opened again: " + err.Error())
		}
		p.hangup <- f
		return true
	default: // no log file
		return false
	}
}

// lookup finds an environment variable.
func (p *Program) lookup(name string) (string, bool) {
	v, ok := p.env[name]
	return v, ok
}

// reference reports whether the program was started under the name ngrok.
func (p *Program) reference() bool {
	if len(p.Args) == 0 {
		return false
	}
	name := strings.TrimSuffix(filepath.Base(p.Args[0]), ".exe")
	return strings.EqualFold(name, "ngrok")
}

// place is where configuration lives on this system.
func (p *Program) place() config.Place {
	return config.Place{GOOS: runtime.GOOS, Env: p.lookup}
}

// warn writes a remark to standard error.
func (p *Program) warn(text string) {
	fmt.Fprintln(p.Stderr, "WARN:  "+text)
}

// terminal returns the size of the terminal on standard output, if it is one.
func (p *Program) terminal() (width, height int, ok bool) {
	if p.TerminalSize != nil {
		return p.TerminalSize()
	}
	return tty.Size(p.Stdout)
}
