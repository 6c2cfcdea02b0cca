package agent_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// world is a stub server on loopback.
type world struct {
	server *wiretest.Server
	ca     *wiretest.CA
	addr   string
	ln     net.Listener
}

func newWorld(t *testing.T, script wiretest.Script) *world {
	t.Helper()
	ca, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{server: wiretest.New(ca, script), ca: ca}
	w.listen(t, "127.0.0.1:0")
	w.addr = w.ln.Addr().String()
	t.Cleanup(func() { _ = w.ln.Close(); w.server.Close() })
	return w
}

func (w *world) listen(t *testing.T, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	w.ln = ln
	go w.server.Serve(ln)
}

// settings lead to the stub server.
func (w *world) settings(t *testing.T) config.Settings {
	t.Helper()
	c := config.Empty()
	c.Set("authtoken", "tok_0123456789abcdef0123", "test")
	c.Set("connect_url", w.addr, "test")
	c.Set("connect_ca_fingerprint", w.ca.Fingerprint(), "test")
	s, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// specs compiles endpoints of a configuration file.
func specs(t *testing.T, yaml string) []config.Spec {
	t.Helper()
	c, err := config.Parse("test.yml", []byte("version: 3\nendpoints:\n"+yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Specs()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// output collects text and lets tests wait for some of it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns the first line that holds all the parts.
func (o *output) wait(t *testing.T, parts ...string) string {
	t.Helper()
	return o.waitNth(t, 1, parts...)
}

// waitNth returns the nth line that holds all the parts.
func (o *output) waitNth(t *testing.T, n int, parts ...string) string {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		o.mu.Lock()
		text, changed := o.text.String(), o.changed
		o.mu.Unlock()
		left := n
		for line := range strings.Lines(text) {
			found := true
			for _, p := range parts {
				found = found && strings.Contains(line, p)
			}
			if found {
				left--
			}
			if found && left == 0 {
				return line
			}
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("no line with %q in\n%s", parts, text)
		}
	}
}

// running is a run of the agent in the background.
type running struct {
	log, lines *output
	stop       context.CancelFunc
	force      chan struct{}
	done       chan struct{}
	outcome    agent.Outcome
	err        error
}

// start runs the agent with its log and its JSON lines collected.
func start(t *testing.T, c agent.Config) *running {
	t.Helper()
	r := &running{log: newOutput(), lines: newOutput(), force: make(chan struct{}), done: make(chan struct{})}
	c.Logger = slog.New(logs.NewHandler(r.log, logs.Logfmt, slog.LevelDebug))
	c.Lines, c.Force, c.Version = r.lines, r.force, "1.2.3"
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		defer close(r.done)
		r.outcome, r.err = agent.Run(ctx, c)
	}()
	t.Cleanup(func() { cancel(); r.wait(t) })
	return r
}

// wait waits for the end of the run.
func (r *running) wait(t *testing.T) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-r.done:
	case <-timeout.C:
		t.Fatalf("the run does not end; its log:\n%s", r.log)
	}
}

// web runs serve for each connection on a loopback port and returns its port.
func web(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return netip.MustParseAddrPort(ln.Addr().String()).String()
}
