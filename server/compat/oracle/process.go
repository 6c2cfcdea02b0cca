package oracle

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Process is a server in a process of its own, so that it can be killed as the kernel kills.
type Process struct {
	Server
	path string
	cmd  *exec.Cmd
}

// program builds culvertd into dir, when it is first asked for.
func program(dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "culvertd")
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "github.com/culvert-project/culvert/server/cmd/culvertd")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build culvertd: %w: %s", err, out)
		}
		return path, nil
	})
}

// startProcess starts culvertd, which lies at path, with a data directory of its own. It ends with the test.
func startProcess(t *testing.T, path string) *Process {
	t.Helper()
	any := "127.0.0.1:0"
	p := &Process{path: path, Server: Server{
		Domain: "culvert.localhost", AgentAddr: any, HTTPAddr: any, HTTPSAddr: any, Token: token, dir: t.TempDir(),
	}}
	t.Cleanup(func() { p.Kill9(t) })
	p.Begin(t)
	p.trust(t)
	return p
}

// opened is a line of what culvertd says it has opened.
var opened = regexp.MustCompile(`^  (http|https|agents)\s+(127\.0\.0\.1:\d+)`)

// Begin starts the server, the first time or again, on the addresses it had. It returns once the server is ready.
func (p *Process) Begin(t *testing.T) {
	t.Helper()
	p.cmd = exec.CommandContext(context.Background(), p.path, "serve", "--data-dir", p.dir, "--domain", p.Domain,
		"--http-addr", p.HTTPAddr, "--https-addr", p.HTTPSAddr, "--agent-addr", p.AgentAddr, "--api-addr", "127.0.0.1:0", "--ssh-addr", "127.0.0.1:0")
	p.cmd.Env = append(p.cmd.Environ(), "CULVERT_BOOTSTRAP_AUTHTOKEN="+p.Token)
	pipe, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(pipe)
	for in.Scan() {
		if m := opened.FindStringSubmatch(in.Text()); m != nil {
			*map[string]*string{"http": &p.HTTPAddr, "https": &p.HTTPSAddr, "agents": &p.AgentAddr}[m[1]] = m[2]
		}
		if strings.Contains(in.Text(), "culvert http") {
			break // the last line of the greeting
		}
	}
	if strings.HasSuffix(p.AgentAddr, ":0") {
		t.Fatal("culvertd did not say where it listens")
	}
}

// Kill9 kills the server as SIGKILL does.
func (p *Process) Kill9(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()         // always an error
	p.cmd = nil
}

// outage watches an endpoint under load: clients ask all the time, and the longest time without an answer counts.
type outage struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
	good    int
	bad     error
}

func (o *outage) note(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.bad = err
		return
	}
	o.good++
	if gap := time.Since(o.last); gap > o.longest {
		o.longest = gap
	}
	o.last = time.Now()
}

// answered is how many requests were answered since the beginning, and what the last failure was.
func (o *outage) answered() (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.good, o.bad
}
