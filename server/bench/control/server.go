package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The credentials of the server that is measured.
const (
	token = "bench_control_authtoken_of_loopback"
	key   = "bench_control_api_key_of_loopback"
)

// startLimit is how long a start may take.
const startLimit = 2 * time.Minute

// server is a culvertd of our own.
type server struct {
	program  string
	dir      string
	database string // "": SQLite

	stormy []string // ids of the endpoints that a storm changes

	cmd              *exec.Cmd
	log              bytes.Buffer
	http, agent, api string
}

// start runs it and returns after how long it was ready.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	addrs, err := freePorts(4)
	if err != nil {
		return 0, err
	}
	s.http, s.agent, s.api = addrs[0], addrs[1], addrs[2]
	s.log.Reset()
	s.cmd = exec.CommandContext(ctx, s.program, "serve", "--data-dir", filepath.Join(s.dir, "data"), "--log-level", "warn", //nolint:gosec // named by a flag
		"--http-addr", s.http, "--agent-addr", s.agent, "--api-addr", s.api, "--https-addr", addrs[3])
	s.cmd.Env = []string{"HOME=" + s.dir, "CULVERT_BOOTSTRAP_AUTHTOKEN=" + token, "CULVERT_BOOTSTRAP_API_KEY=" + key, "CULVERTD_SSH_ADDR=127.0.0.1:0"}
	if s.database != "" {
		s.cmd.Env = append(s.cmd.Env, "CULVERTD_DATABASE_URL="+s.database)
	}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w (make build makes it)", err)
	}
	for time.Since(begin) < startLimit {
		if resp, err := http.Get("http://" + s.api + "/readyz"); err == nil { //nolint:noctx // on loopback
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(begin), nil
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	s.stop()
	return 0, fmt.Errorf("culvertd was not ready after %s: %s", startLimit, s.log.String())
}

// stop ends it, if it runs.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = s.cmd.Wait()                          // by the signal
}

// memory is what it has resident in bytes, where Linux tells it.
func (s *server) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var kib int64
	if _, rest, ok := strings.Cut(string(text), "VmRSS:"); ok {
		_, _ = fmt.Sscan(rest, &kib) // zero, if it is no number
	}
	return kib << 10
}

// freePorts returns addresses of loopback that were free a moment ago.
func freePorts(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it was only to find a port
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
