package manual_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// took is how long an action took, which differs each time.
var took = regexp.MustCompile(`\([0-9.]+(ns|µs|ms|s)\)`)

// TestPolicyPages runs the pages about policies: each page in a folder of its own, "file=NAME" blocks written there,
// "console" blocks run and held to what they show. Policies have to be sound.
func TestPolicyPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "policy", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	ran := 0
	for _, page := range pages {
		if filepath.Base(page) == walkPage {
			continue // TestPolicyWalk runs it
		}
		dir := t.TempDir()
		var policies []string
		for _, b := range blocksOf(t, page) {
			kind, name, isFile := strings.Cut(b.info, " file=")
			switch {
			case isFile:
				write(t, filepath.Join(dir, name), b.text)
			case kind == "yaml":
				name := filepath.Join(dir, fmt.Sprintf("example-%d.yml", len(policies)+1))
				write(t, name, b.text)
				policies = append(policies, name)
			case kind == "console":
				if got := console(t, dir, b.text); got != took.ReplaceAllString(b.text, "(TIME)") {
					t.Errorf("%s: got\n%s\nwant\n%s", b.where, got, b.text)
				}
				ran++
			}
		}
		if len(policies) > 0 {
			if out, err := run(t, "culvertd", append([]string{"policy", "check"}, policies...)...); err != nil {
				t.Errorf("%s: %v\n%s", page, err, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d blocks were run", ran)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// console runs the lines of a block that begin with "$ " and returns what a terminal would show, with a line for exit
// codes that are not 0.
func console(t *testing.T, dir, text string) string {
	t.Helper()
	bin := filepath.Dir(program(t, "culvert"))
	return consoleIn(t, dir, append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+t.TempDir()), text)
}

// consoleIn is console with an environment.
func consoleIn(t *testing.T, dir string, env []string, text string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "$ ")
		if !ok {
			continue
		}
		cmd := exec.CommandContext(context.Background(), "sh", "-c", command)
		cmd.Dir, cmd.Env = dir, env
		shown, err := cmd.CombinedOutput()
		fmt.Fprintf(&out, "$ %s\n%s", command, took.ReplaceAllString(strings.ReplaceAll(string(shown), "\r\n", "\n"), "(TIME)"))
		if ended, ok := errors.AsType[*exec.ExitError](err); ok {
			fmt.Fprintf(&out, "(exit code %d)\n", ended.ExitCode())
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
