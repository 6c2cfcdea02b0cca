package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/coredump"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/heap"
	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/internal/version"
	"github.com/culvert-project/culvert/server/internal/node"
)

// forcedWait is how long a server that was told twice to stop may take before
// the process ends without it.
const forcedWait = 2 * time.Second

// sameSignal is how close two signals are one: shells and supervisors may signal
// a process and its group.
const sameSignal = 200 * time.Millisecond

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server. It needs neither flags nor a file.

Each flag is also a variable, CULVERTD_DATA_DIR for --data-dir, and a key of the
YAML file given with --config, data_dir; a flag goes before a variable and that
before the file. Secrets are variables alone, or with _FILE behind the name a
file: ` + bootstrapVariable + ` and ` + bootstrapKeyVariable + ` set the
first authtoken and API key, ` + databaseVariable + ` a PostgreSQL database.

SIGHUP makes it read the file and the certificates again, without dropping a
connection. SIGTERM or Ctrl+C stops it: it takes nothing new, lets what is open finish
within --shutdown-grace, and lets agents go last. A second one stops it at once.`,
		Example: `  culvertd serve
  culvertd serve --domain tunnel.example.com --http-addr :80 --https-addr :443 --agent-addr :9444
  culvertd serve --config culvertd.yml --log-level debug`,
		Args: noArgs,
	}
	serverFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		again := func() (*options, error) { return p.settings(cmd, p.serverDir) }
		return p.serve(cmd.Context(), o, again)
	}
	return cmd
}

// settings returns the settings of a command that has the server's flags.
func (p *program) settings(cmd *cobra.Command, dir func() (string, error)) (*options, error) {
	o := &options{}
	if err := load(o, cmd.Flags(), p.getenv); err != nil {
		return nil, err
	}
	if o.node.DataDir == "" {
		var err error
		if o.node.DataDir, err = dir(); err != nil {
			return nil, err
		}
	}
	var err error
	if o.node.DataDir, err = filepath.Abs(o.node.DataDir); err != nil { // it is shown, and pasted elsewhere
		return nil, fault.Wrap(err, fault.SettingInvalid, o.node.DataDir, "--data-dir", err)
	}
	if err := p.secrets(o); err != nil {
		return nil, err
	}
	o.node.Version = version.Read().Version
	return o, nil
}

// serve runs a server until a signal stops it. It reads its settings again when
// SIGHUP comes.
func (p *program) serve(ctx context.Context, o *options, again func() (*options, error)) error {
	n, closeLogs, err := p.newNode(o)
	if err != nil {
		return err
	}
	defer closeLogs()
	online := func(context.Context) error {
		p.welcome(o, n.Info())
		return nil
	}
	return p.runNode(ctx, n, online, func() { reload(o, n, again) })
}

// newNode opens the logs and makes the node of a run.
func (p *program) newNode(o *options) (n *node.Node, closeLogs func(), err error) {
	if closeLogs, err = p.openLogs(o); err != nil {
		return nil, nil, err
	}
	if n, err = node.New(o.node); err != nil {
		closeLogs()
		return nil, nil, err
	}
	if err := coredump.Off(); err != nil {
		o.node.Logger.Warn("core dumps stay on", "err", err)
	}
	return n, closeLogs, nil
}

// serverHeap is what the server's heap may grow to before it is collected, in
// bytes: a second's garbage of a busy one.
const serverHeap = 64 << 20

// runNode runs a node until it fails or a signal stops it. Once it is ready,
// online is called; the node stops when online fails. SIGHUP calls reload; without
// that it is a signal to stop.
func (p *program) runNode(ctx context.Context, n *node.Node, online func(context.Context) error, reload func()) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer heap.Floor(serverHeap)()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	var first time.Time // when the first signal came
	forced := false
	failed := make(chan error, 1)
	ready := n.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			go func() { failed <- online(ctx) }()
		case err := <-failed:
			if err != nil {
				stop(err)
			}
		case err := <-ended:
			return errors.Join(err, exitError(ctx, forced))
		case s := <-p.signals:
			switch {
			case s == syscall.SIGHUP && reload != nil:
				reload()
				continue
			case first.IsZero():
				first = time.Now()
				if open := n.Open(); open > 0 {
					fmt.Fprintf(p.stderr, "\nStopping: %d open, at most %v. Ctrl+C again ends it at once.\n", open, n.Grace())
				}
				stop(nil)
				continue
			case time.Since(first) < sameSignal || forced:
				continue
			}
			forced = true
			n.Kill()
			time.AfterFunc(forcedWait, func() { p.exit(1) })
		}
	}
}

// errForced ends the program with exit code 1 after a second signal.
var errForced = errors.New("stopped at once by a second signal")

// exitError is why a server that has ended without a failure of its own did so,
// if that is to be told.
func exitError(ctx context.Context, forced bool) error {
	if forced {
		return errForced
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// openLogs opens the log and the access log that o asks for.
func (p *program) openLogs(o *options) (closeAll func(), err error) {
	terminal := func(w io.Writer) (bool, bool) { return p.terminal(w), p.colours(w) }
	o.level = new(slog.LevelVar)
	o.level.Set(o.logLevel)
	log, err := logs.Open(logs.Config{
		Target: "stderr", Format: o.logFormat, Level: o.level, Stderr: p.stderr, Terminal: terminal,
	})
	if err != nil { // only files fail to open
		return nil, err
	}
	o.node.Logger = log.Logger()
	access, err := logs.Open(logs.Config{
		Target: o.accessLog, Format: o.logFormat, Stdout: p.stdout, Stderr: p.stderr, Terminal: terminal,
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.SettingInvalid, o.accessLog, "--access-log", err)
	}
	o.access = access
	if o.accessLog != "" {
		o.node.AccessLog = access.Logger()
	}
	return func() { _ = access.Close() }, nil // every line is written when it is logged
}
