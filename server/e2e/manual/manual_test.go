package manual_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// root is the top of the tree, seen from this package.
const root = "../../.."

// block is one fenced block of the manual.
type block struct {
	where string // file:line
	info  string // what stands after the fence
	text  string
}

// blocks reads every fenced block of the manual.
func blocks(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manual: %v", err)
	}
	files = append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"))
	var out []block
	for _, name := range files {
		out = append(out, blocksOf(t, name)...)
	}
	return out
}

// blocksOf reads the fenced blocks of one page.
func blocksOf(t *testing.T, name string) []block {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{where: fmt.Sprintf("%s:%d", strings.TrimPrefix(name, root+"/"), i+1), info: info}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s: the block is not closed", open.where)
	}
	return out
}

// programs builds culvert and culvertd once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "culvert-manual-")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", dir+"/", "./cmd/culvert", "./server/cmd/culvertd")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func TestMain(m *testing.M) {
	m.Run() // its result is the process's exit code
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
}

// run runs one of our programs with a home of its own and returns what it printed.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestConfigExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, b := range blocks(t) {
		kind, ok := strings.CutPrefix(b.info, "yaml config ")
		if !ok {
			continue
		}
		n++
		t.Run(b.where, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "example.yml")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			switch kind {
			case "agent":
				if out, err := run(t, "culvert", "config", "check", "--config", file); err != nil {
					t.Errorf("culvert config check: %v\n%s", err, out)
				}
			case "server":
				serve(t, file)
			default:
				t.Errorf("unknown kind %q", kind)
			}
		})
	}
	if n == 0 {
		t.Error("the manual has no configuration examples")
	}
}

// serve starts a server with a configuration file, but with addresses and a data directory of its own, and ends it
// once it says that it is up.
func serve(t *testing.T, file string) {
	t.Helper()
	any := "127.0.0.1:0"
	cmd := exec.CommandContext(t.Context(), program(t, "culvertd"), "serve", "--config", file, "--data-dir", t.TempDir(),
		"--http-addr", any, "--https-addr", any, "--agent-addr", any, "--api-addr", any, "--ssh-addr", any, "--log-format", "logfmt")
	var out strings.Builder // of this goroutine
	var logged bytes.Buffer // of the one that copies standard error, until Wait
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &logged
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	up := false
	for in := bufio.NewScanner(pipe); in.Scan(); {
		fmt.Fprintln(&out, in.Text())
		if !up && strings.Contains(in.Text(), "culvert http") {
			up = true
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !up {
		t.Errorf("culvertd serve: up %t, %v\n%s%s", up, err, out.String(), logged.String())
	}
}

// TestShellExamples asks each program for help on each command line of the manual: it refuses what it does not know.
func TestShellExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, b := range blocks(t) {
		if b.info != "sh" && b.info != "console" {
			continue
		}
		for line := range strings.Lines(b.text) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			line = strings.Replace(line, "go run ./server/cmd/culvertd", "culvertd", 1)
			line, _, _ = strings.Cut(line, " #")
			f := strings.Fields(line)
			if len(f) == 0 || (f[0] != "culvert" && f[0] != "culvertd") {
				continue
			}
			n++
			t.Run(b.where+" "+line, func(t *testing.T) {
				t.Parallel()
				if out, err := run(t, f[0], append(f[1:], "--help")...); err != nil {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
			})
		}
	}
	if n == 0 {
		t.Error("the manual has no command lines")
	}
}

// TestGoExamples compiles the blocks that are programs.
func TestGoExamples(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t) {
		if b.info != "go" || !strings.HasPrefix(b.text, "package main") {
			continue
		}
		t.Run(b.where, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, file)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

var (
	helpFlag  = regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z0-9-]+)`)
	tableFlag = regexp.MustCompile("`--([a-z0-9-]+)`")
)

// TestTablesOfFlags holds the tables of flags to what the programs know, in both directions.
func TestTablesOfFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file    string
		program string
		verbs   []string
		hidden  []string // flags that every command has and no table lists
	}{
		{"docs/running.md", "culvertd", []string{"serve"}, []string{"help"}},
		{"docs/agent.md", "culvert", []string{"http", "tcp", "tls", "start"}, []string{"help"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			known := map[string]bool{}
			for _, verb := range tt.verbs {
				out, err := run(t, tt.program, verb, "--help")
				if err != nil {
					t.Fatalf("%s %s --help: %v\n%s", tt.program, verb, err, out)
				}
				for _, m := range helpFlag.FindAllStringSubmatch(out, -1) {
					known[m[1]] = true
				}
			}
			text, err := os.ReadFile(filepath.Join(root, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			listed := map[string]bool{}
			for line := range strings.Lines(string(text)) {
				if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| `--") {
					for _, m := range tableFlag.FindAllStringSubmatch(first, -1) {
						listed[m[1]] = true
					}
				}
			}
			for f := range known {
				if !listed[f] && !slices.Contains(tt.hidden, f) {
					t.Errorf("%s does not list --%s", tt.file, f)
				}
			}
			for f := range listed {
				if !known[f] {
					t.Errorf("%s lists --%s, which %s does not know", tt.file, f, tt.program)
				}
			}
		})
	}
}

// TestTableOfKeys wants every key of the server's file in docs/running.md.
func TestTableOfKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "running.md"))
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile("yaml:\"([a-z0-9_]+)\"")
	for _, file := range []string{"server/cmd/culvertd/file.go", "server/internal/edge/limits.go", "server/internal/tunnel/limits.go"} {
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		found := key.FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Errorf("%s has no keys", file)
		}
		for _, m := range found {
			flag := "`--" + strings.ReplaceAll(m[1], "_", "-") + "`"
			if text := string(page); !strings.Contains(text, "`"+m[1]+"`") && !strings.Contains(text, flag) {
				t.Errorf("docs/running.md does not mention %s (%s)", m[1], file)
			}
		}
	}
}
