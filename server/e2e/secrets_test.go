package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestK10_Processes: what other users of the machine can see of our programs
// has no token in it, and a crash leaves none behind.
func TestK10_Processes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
	server := start(t, t.TempDir(), nil, "culvertd", "serve", "--data-dir", t.TempDir(), "--tcp-ports", "20000-20999",
		"--http-addr", "127.0.0.1:0", "--https-addr", "127.0.0.1:0", "--agent-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ssh-addr", "127.0.0.1:0")
	reach := server.await(`culvert config add-connect-url (\S+) --ca-fingerprint (\S+)`)
	agent := start(t, t.TempDir(), []string{"CULVERT_AUTHTOKEN=" + token}, "culvert", "start", "--none",
		"--connect-url", reach[1], "--ca-fingerprint", reach[2], "--config", write(t, "version: 3\n"), "--log", "stdout", "--log-format", "logfmt")
	agent.await(`client session established`)
	for _, p := range []*process{server, agent} {
		dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(line), p.name) || strings.Contains(string(line), token) {
			t.Errorf("%s: command line %q, %v", p.name, line, err)
		}
		limits, err := os.ReadFile(filepath.Join(dir, "limits"))
		if err != nil || !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
			t.Errorf("%s: core dumps are not off: %v\n%s", p.name, err, limits)
		}
		if strings.Contains(p.text(), token) {
			t.Errorf("%s prints the token", p.name)
		}
	}
}

// write puts text into a file of its own, for its owner alone.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "culvert.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
