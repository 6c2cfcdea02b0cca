package manual_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// walkPage has commands that go on running, and needs a server.
const walkPage = "walk.md"

// patience is how long a program may take to be ready.
const patience = time.Minute

// walk is a run of that page.
type walk struct {
	t       *testing.T
	dir     string
	env     []string
	ports   *strings.Replacer // from the page's to those that are free here
	written *strings.Replacer // back
	running map[string]*exec.Cmd
}

// TestPolicyWalk pastes the commands of docs/policy/walk.md as they stand, but for the ports: in "sh" blocks each line is
// a program that goes on running, and "console" blocks have to show what comes out. What serves on ports 8080 to 8082
// is the test's.
func TestPolicyWalk(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no curl")
	}
	w := newWalk(t)
	ran := 0
	for _, b := range blocksOf(t, filepath.Join(root, "docs", "policy", walkPage)) {
		kind, rest, _ := strings.Cut(b.info, " ")
		switch kind {
		case "yaml":
			write(t, filepath.Join(w.dir, strings.TrimPrefix(rest, "file=")), b.text)
		case "sh":
			for line := range strings.Lines(b.text) {
				w.start(strings.TrimSpace(line))
			}
		case "console":
			if what, ok := strings.CutPrefix(rest, "stop="); ok {
				w.stop(what)
			}
			got := w.written.Replace(consoleIn(t, w.dir, w.env, w.ports.Replace(b.text)))
			if got != took.ReplaceAllString(b.text, "(TIME)") {
				t.Errorf("%s: got\n%s\nwant\n%s", b.where, got, b.text)
			}
			ran++
		}
	}
	if ran < 4 {
		t.Errorf("%d blocks were run", ran)
	}
}

// newWalk starts what the page takes for granted: a server, a configured agent, and three services.
func newWalk(t *testing.T) *walk {
	t.Helper()
	home := t.TempDir()
	w := &walk{
		t: t, dir: t.TempDir(), running: make(map[string]*exec.Cmd),
		env: append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "CULVERTD_SSH_ADDR=127.0.0.1:0", "PATH="+filepath.Dir(program(t, "culvert"))+string(os.PathListSeparator)+os.Getenv("PATH")),
	}
	const free = "127.0.0.1:0"
	line := "culvertd serve --http-addr " + free + " --https-addr " + free + " --agent-addr " + free + " --api-addr " + free + " --data-dir " + filepath.Join(home, "data")
	up := w.run(line, `(?s)http +127\.0\.0\.1:(\d+).*(culvert config add-connect-url[^\n]+).*(culvert config add-authtoken [^\n]+)`)
	for _, line := range up[2:] {
		w.command(line)
	}
	ports := []string{"9080", up[1]}
	for port, what := range map[string]string{"8080": "the service", "8081": "the API", "8082": "the pages"} {
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(rw, "%s: %s\n", what, r.URL.Path)
		}))
		t.Cleanup(s.Close)
		_, free, err := net.SplitHostPort(s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port, free)
	}
	w.ports = strings.NewReplacer(ports...)
	for i := 0; i < len(ports); i += 2 {
		ports[i], ports[i+1] = ports[i+1], ports[i]
	}
	w.written = strings.NewReplacer(ports...)
	return w
}

// command runs a line to its end.
func (w *walk) command(line string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// start starts an agent and waits until its endpoint is online.
func (w *walk) start(line string) {
	w.t.Helper()
	w.run(w.ports.Replace(line), `(?m)started tunnel|^Forwarding|online at`)
}

// run starts a program, waits until its output matches, and returns the groups.
func (w *walk) run(line, pattern string) []string {
	w.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), "sh", "-c", "exec "+line)
	out := &shown{}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, out, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.running[line] = cmd
	w.t.Cleanup(func() { w.stop(line) })
	re := regexp.MustCompile(pattern)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if m := re.FindStringSubmatch(out.text()); m != nil {
			return m
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s never shows %s:\n%s", line, pattern, out.text())
		}
	}
}

// stop ends the program whose command line has a text in it, as Ctrl+C does.
func (w *walk) stop(what string) {
	w.t.Helper()
	for line, cmd := range w.running {
		if strings.Contains(line, what) {
			delete(w.running, line)
			_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
			_ = cmd.Wait()                         // an exit code does not matter
			return
		}
	}
}

// shown is what a program has printed.
type shown struct {
	mu  sync.Mutex
	out strings.Builder // guarded by mu
}

var _ io.Writer = (*shown)(nil)

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *shown) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}
