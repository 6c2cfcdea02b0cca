package cli_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/cmd/culvert/cli"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

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

// wait waits until the text holds all parts.
func (o *output) wait(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		o.waitNth(t, 1, p)
	}
}

// waitNth waits until the text holds the part n times.
func (o *output) waitNth(t *testing.T, n int, part string) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		o.mu.Lock()
		text, changed := o.text.String(), o.changed
		o.mu.Unlock()
		if strings.Count(text, part) >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("%q does not come; there is\n%s", part, text)
		}
	}
}

// invocation is one run of the program.
type invocation struct {
	out, err *output
	signals  chan os.Signal
	program  *cli.Program
	done     chan struct{}
	code     int
}

// home is a machine without any configuration.
type home struct{ dir string }

func newHome(t *testing.T) home {
	t.Helper()
	return home{t.TempDir()}
}

func (h home) config() string { return filepath.Join(h.dir, ".config", "culvert", "culvert.yml") }

// write puts the default configuration file in place.
func (h home) write(t *testing.T, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.config()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h home) read(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(h.config())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// program prepares a run of "culvert ARGS".
func (h home) program(args ...string) *invocation {
	i := &invocation{out: newOutput(), err: newOutput(), signals: make(chan os.Signal, 4), done: make(chan struct{})}
	i.program = &cli.Program{
		Args: append([]string{"culvert"}, args...), Env: []string{"HOME=" + h.dir, "PATH=" + os.Getenv("PATH")},
		Stdin: strings.NewReader(""), Stdout: i.out, Stderr: i.err, Signals: i.signals,
	}
	return i
}

// run runs "culvert ARGS" to its end.
func (h home) run(t *testing.T, args ...string) *invocation {
	t.Helper()
	i := h.program(args...)
	i.start(t)
	i.wait(t)
	return i
}

// start begins a run in the background.
func (i *invocation) start(t *testing.T) {
	t.Helper()
	go func() {
		defer close(i.done)
		i.code = i.program.Run(t.Context())
	}()
	t.Cleanup(func() { i.wait(t) })
}

// interrupt sends the signal of Ctrl+C.
func (i *invocation) interrupt() { i.signals <- syscall.SIGINT }

func (i *invocation) wait(t *testing.T) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-i.done:
	case <-timeout.C:
		t.Fatalf("the program does not end; stdout:\n%s\nstderr:\n%s", i.out, i.err)
	}
}

// check fails unless the run ended with the code and said the parts on
// standard error.
func (i *invocation) check(t *testing.T, code int, parts ...string) {
	t.Helper()
	if i.code != code {
		t.Errorf("exit code %d, want %d; stderr:\n%s", i.code, code, i.err)
	}
	for _, p := range parts {
		if !strings.Contains(i.err.String(), p) {
			t.Errorf("stderr lacks %q:\n%s", p, i.err)
		}
	}
}

// world is a stub server on loopback.
type world struct {
	server *wiretest.Server
	ca     *wiretest.CA
	addr   string
}

func newWorld(t *testing.T, script wiretest.Script) *world {
	t.Helper()
	ca, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{server: wiretest.New(ca, script), ca: ca, addr: ln.Addr().String()}
	go w.server.Serve(ln)
	t.Cleanup(func() { _ = ln.Close(); w.server.Close() })
	return w
}

const token = "tok_0123456789abcdef0123"

// connect writes a configuration that leads to the stub server, and more keys
// and endpoints below.
func (w *world) connect(t *testing.T, h home, more string) {
	t.Helper()
	h.write(t, "version: 3\nagent:\n  authtoken: "+token+"\n  connect_url: "+w.addr+"\n  connect_ca_fingerprint: "+w.ca.Fingerprint()+"\n"+more)
}
