package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/agent/console"
	"github.com/culvert-project/culvert/internal/coredump"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/heap"
	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/internal/tty"
	"github.com/culvert-project/culvert/internal/version"
)

// sessionFlags are the flags of commands that open a session.
type sessionFlags struct {
	authtoken    string
	stdinToken   bool // authtoken came from standard input
	connectURL   string
	connectCAs   string
	fingerprint  string
	log          string
	logFormat    string
	logLevel     string
	region       string
	json         bool
	metadata     string   // of the session; start only
	configAppend []string // files after the default one
}

func (f *sessionFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.authtoken, "authtoken", "", "`TOKEN` for the server; - reads it from standard input")
	fl.StringVar(&f.connectURL, "connect-url", "", "server's `ADDRESS` for agents, host:port")
	fl.StringVar(&f.connectCAs, "connect-cas", "", "`FILE` with the server's CA, or host for the CAs of this machine")
	fl.StringVar(&f.fingerprint, "ca-fingerprint", "", "`FINGERPRINT` of the server's CA, sha256:...")
	fl.StringArrayVar(&f.configAppend, "config-append", nil, "configuration `FILE` to read after the default one")
	fl.StringVar(&f.log, "log", "", "`TARGET` of the log: stdout, stderr, false or a file (default stdout; false while the status view is shown)")
	fl.StringVar(&f.logFormat, "log-format", "", "`FORMAT` of the log: term, logfmt or json (default term on a terminal, else logfmt)")
	fl.StringVar(&f.logLevel, "log-level", "", "least `LEVEL` of the log: debug, info, warn, error or crit (default info)")
	fl.BoolVar(&f.json, "json", false, "print one line of JSON for each change of state, and no status view")
	fl.StringVar(&f.region, "region", "", "")
	_ = fl.MarkHidden("region") // the flag was just defined
	values(cmd, "log-format", "term", "logfmt", "json")
	values(cmd, "log-level", "debug", "info", "warn", "error", "crit")
}

// session is a configuration with flags and environment applied.
type session struct {
	config   *config.Config
	settings config.Settings
	proxy    string
	selected config.Selection
}

// load reads files, environment and flags, and checks the agent's part.
func (p *Program) load(cmd *cobra.Command, f *sessionFlags) (*session, error) {
	p.jsonMode = p.jsonMode || f.json || f.logFormat == "json"
	s := &session{}
	paths, err := cmd.Flags().GetStringArray("config")
	if err != nil {
		return nil, fmt.Errorf("read --config: %w", err)
	}
	if s.selected, err = p.place().Select(paths, p.reference()); err != nil {
		return nil, err
	}
	for _, list := range f.configAppend {
		s.selected.Paths = append(s.selected.Paths, strings.Split(list, ",")...)
	}
	if s.config, err = config.Load(s.selected.Paths, p.lookup); err != nil {
		return nil, err
	}
	if err := s.config.SetFromEnviron(p.lookup); err != nil {
		return nil, err
	}
	if err := p.applyFlags(cmd, f, s.config); err != nil {
		return nil, err
	}
	if s.config.Agent.LogFormat == "json" {
		p.jsonMode = true
	}
	for _, n := range append(s.selected.Notices, s.config.Notices...) {
		p.warn(n)
	}
	if s.settings, err = s.config.Settings(); err != nil {
		return nil, err
	}
	s.proxy, err = config.ProxyFor(s.settings.Server, s.settings.Proxy, p.lookup)
	return s, err
}

// applyFlags overrides the configuration by flags.
func (p *Program) applyFlags(cmd *cobra.Command, f *sessionFlags, c *config.Config) error {
	if f.authtoken == "-" {
		token, err := readLine(p.Stdin)
		if err != nil {
			return fault.Wrap(err, fault.ValueInvalid, "-", "--authtoken", "standard input holds no token")
		}
		f.authtoken, f.stdinToken = token, true
	}
	for _, o := range []struct{ flag, key, value string }{
		{"authtoken", "authtoken", f.authtoken},
		{"connect-url", "connect_url", f.connectURL},
		{"connect-cas", "connect_cas", f.connectCAs},
		{"ca-fingerprint", "connect_ca_fingerprint", f.fingerprint},
		{"log", "log", f.log},
		{"log-format", "log_format", f.logFormat},
		{"log-level", "log_level", f.logLevel},
		{"region", "region", f.region},
		{"metadata", "metadata", f.metadata},
	} {
		if o.flag == "metadata" && f.metadata == "" {
			continue // on endpoint commands the flag is the endpoint's
		}
		if flag := cmd.Flags().Lookup(o.flag); flag != nil && flag.Changed {
			c.Set(o.key, o.value, "--"+o.flag)
		}
	}
	if f.connectURL != "" {
		p.warnWithoutPort(f.connectURL)
	}
	if f.region != "" {
		p.warn("--region is deprecated and only a hint; the server decides.")
	}
	return nil
}

// readLine reads one line, without its end and without blanks around it.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	line = strings.TrimSpace(line)
	if line != "" {
		return line, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return "", err
}

// agentHeap is what the agent's heap may grow to before it is collected, in bytes.
// Its little traffic does not get there, and its machine is somebody's own.
const agentHeap = 32 << 20

// online runs endpoints until a signal or the server ends them.
func (p *Program) online(ctx context.Context, cmd *cobra.Command, f *sessionFlags, s *session, specs []config.Spec, keepGoing bool) error {
	switch {
	case s.settings.Server == "":
		return fault.New(fault.ServerNotSet)
	case s.settings.Authtoken == "":
		return fault.New(fault.TokenMissing)
	}
	view := p.view(f, s.settings)
	target := s.settings.LogTarget
	switch {
	case target != "":
	case view != nil || f.json:
		target = "false"
	default:
		target = "stdout"
	}
	log, err := logs.Open(logs.Config{
		Target: target, Format: s.settings.LogFormat, Level: s.settings.LogLevel, Stdout: p.Stdout, Stderr: p.Stderr, Terminal: p.logTerminal,
	})
	if err != nil {
		return fault.Wrap(err, fault.ValueInvalid, target, "--log", err)
	}
	defer log.Close()
	if log.IsFile() {
		p.hangup <- log.Reopen
		defer func() { <-p.hangup }()
	}

	if err := coredump.Off(); err != nil {
		log.Logger().Warn("core dumps stay on", "err", err)
	}
	c := agent.Config{
		Settings: s.settings, Proxy: s.proxy, Specs: specs, KeepGoing: keepGoing, Version: version.Read().Version,
		Logger: log.Logger(), View: view, Resized: p.Resized, Force: p.force,
		CheckRestart: func() error { return p.checkRestart(cmd, f) },
	}
	if f.json {
		c.Lines = p.Stdout
	}
	defer heap.Floor(agentHeap)()
	outcome, err := agent.Run(ctx, c)
	if err != nil {
		return err
	}
	if outcome == agent.Restart {
		return errRestart
	}
	return nil
}

// view returns the status view, or nil where log lines are wanted instead.
func (p *Program) view(f *sessionFlags, s config.Settings) *console.Screen {
	_, _, terminal := p.terminal()
	switch {
	case f.json, s.ConsoleUI == "false", s.LogTarget == "stdout", !tty.Screen(p.lookup), !terminal && s.ConsoleUI != "true":
		return nil
	}
	return console.NewScreen(p.Stdout, terminal && tty.Colours(p.lookup), func() (int, int) {
		if width, height, ok := p.terminal(); ok {
			return width, height
		}
		return 80, 24
	})
}

// logTerminal tells whether a writer is a terminal, and whether it wants
// colours.
func (p *Program) logTerminal(w io.Writer) (terminal, colours bool) {
	return tty.Is(w), tty.Colours(p.lookup)
}

// checkRestart reads the configuration again as a new run would.
func (p *Program) checkRestart(cmd *cobra.Command, f *sessionFlags) error {
	if f.stdinToken {
		return errors.New("the token came from standard input and cannot be read again")
	}
	paths, err := cmd.Flags().GetStringArray("config")
	if err != nil {
		return fmt.Errorf("read --config: %w", err)
	}
	selected, err := p.place().Select(paths, p.reference())
	if err != nil {
		return err
	}
	for _, list := range f.configAppend {
		selected.Paths = append(selected.Paths, strings.Split(list, ",")...)
	}
	c, err := config.Load(selected.Paths, p.lookup)
	if err != nil {
		return err
	}
	return c.Check()
}
