package manual_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	apiLine   = regexp.MustCompile(`(?m)^  api .* (http://127\.0\.0\.1:\d+)$`)
	anyID     = regexp.MustCompile(`\b([a-z]+)_[0-9A-Za-z]{27}\b`)
	anyTime   = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	manualAPI = "http://127.0.0.1:9400"
	manualKey = "manual_key_0123456789abcdef"
)

// TestAPIPages runs the console blocks of the pages about the API, each page against a server of its own. Ids and
// times are those of the manual, whatever the server says.
func TestAPIPages(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "commands.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			api := serveAPI(t)
			bin := filepath.Dir(program(t, "culvert"))
			env := append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+t.TempDir(),
				"XDG_CONFIG_HOME=", "CULVERT_API_KEY="+manualKey, "CULVERT_API_URL="+api)
			ran := 0
			for _, b := range blocksOf(t, filepath.Join(root, "docs", "api", page)) {
				if b.info != "console" {
					continue
				}
				ran++
				got := consoleIn(t, t.TempDir(), env, strings.ReplaceAll(b.text, manualAPI, api))
				got = strings.ReplaceAll(got, api, manualAPI)
				got = anyID.ReplaceAllString(got, "${1}_2b8xWJq9kqN1cKQ7yC6mV0tUe1D")
				got = anyTime.ReplaceAllString(got, "2026-05-01T12:00:00Z")
				got = strings.ReplaceAll(got, "}(exit", "}\n(exit")
				if strings.TrimRight(got, "\n") != strings.TrimRight(b.text, "\n") {
					t.Errorf("%s: got\n%s\nwant\n%s", b.where, got, b.text)
				}
			}
			if ran < 2 {
				t.Errorf("%d blocks were run", ran)
			}
		})
	}
}

// serveAPI runs a server to the test's end and returns the URL of its API.
func serveAPI(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	out := &shown{}
	cmd := exec.CommandContext(t.Context(), program(t, "culvertd"), "serve", "--data-dir", filepath.Join(home, "data"),
		"--http-addr", "127.0.0.1:0", "--https-addr", "127.0.0.1:0", "--agent-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ssh-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "HOME="+home, "CULVERT_BOOTSTRAP_API_KEY="+manualKey)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		if m := apiLine.FindStringSubmatch(out.text()); m != nil {
			return m[1]
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("the server does not start:\n%s", out.text())
		}
	}
}
