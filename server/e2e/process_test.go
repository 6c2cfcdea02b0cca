package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// token is the authtoken of servers that tests start.
const token = "e2e_token_0123456789abcdef"

// process is one of our programs, running.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // guarded by mu
}

// Write collects output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a program with a home of its own. Its output is shown if the test
// fails.
func start(t *testing.T, home string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(filepath.Join(bin, name), args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "CULVERT_BOOTSTRAP_AUTHTOKEN=" + token, "CULVERTD_SSH_ADDR=127.0.0.1:0"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state tells the same
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("[%s %v]\n%s", name, args, p.text())
		}
	})
	return p
}

// kill ends the process as a crash does and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // may have ended
	<-p.ended
}

// await waits until the output matches and returns the groups of the first
// match.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	return p.awaitN(pattern, 1)
}

// awaitN waits for the n-th match.
func (p *process) awaitN(pattern string, n int) []string {
	p.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	var match []string
	eventually(p.t, p.name+" prints "+pattern, func() bool {
		all := re.FindAllStringSubmatch(p.text(), -1)
		if len(all) < n {
			return false
		}
		match = all[n-1]
		return true
	})
	return match
}

// finish waits for the end of the process and returns its exit code.
func (p *process) finish() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// freeAddrs returns addresses of loopback that were free a moment ago: a server
// that is to come back on the same ones cannot leave the choice to the system.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
