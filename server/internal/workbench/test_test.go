package workbench_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/workbench"
)

const cases = `-- policy --
deny.yml
-- request --
GET / HTTP/1.1
Host: h.example
-- right/want --
refusal:
403
Content-Length: 0

-- wrong/want --
refusal:
404
Content-Length: 0

-- none/client --
198.51.100.1:1
-- broken/client --
nonsense
`

// suite writes a folder of cases.
func suite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"deny.yml":           "on_http_request:\n  - actions: [{type: deny}]\n",
		"deny.txtar":         cases,
		"more/plain.txtar":   "-- policy.yml --\n-- request --\nGET / HTTP/1.1\n-- want --\n",
		"more/nothing.txtar": "-- request --\nGET / HTTP/1.1\n",
		"more/readme.md":     "not a case",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTest(t *testing.T) {
	t.Parallel()
	b, dir := newBench(t), suite(t)
	w, o := output(false)
	passed, err := b.Test(t.Context(), o, workbench.Suite{Paths: []string{dir}})
	if err != nil || passed {
		t.Errorf("got %v, %v, want failures", passed, err)
	}
	got := strings.ReplaceAll(filepath.ToSlash(w.String()), filepath.ToSlash(dir), "DIR")
	golden(t, "test-mixed.txt", got)

	w, o = output(true)
	passed, err = b.Test(t.Context(), o, workbench.Suite{Paths: []string{dir}, Only: regexp.MustCompile(`/(right|plain\.txtar)$`)})
	var all struct {
		Passed bool
		Cases  []workbench.CaseResult
	}
	if err := json.Unmarshal([]byte(w.String()), &all); err != nil {
		t.Fatal(err)
	}
	if err != nil || !passed || !all.Passed || len(all.Cases) != 2 || all.Cases[0].Outcome != "ok" {
		t.Errorf("got %v, %v, %+v", passed, err, all)
	}
}

// TestUpdate writes what came out, and leaves cases alone that are broken.
func TestUpdate(t *testing.T) {
	t.Parallel()
	b, dir := newBench(t), suite(t)
	s := workbench.Suite{Paths: []string{filepath.Join(dir, "deny.txtar")}, Only: regexp.MustCompile("right|wrong|none"), Update: true}
	for i, want := range []string{"updated deny.txtar/none", "ok      deny.txtar/none"} {
		w, o := output(false)
		passed, err := b.Test(t.Context(), o, s)
		if got := strings.ReplaceAll(w.String(), dir+string(filepath.Separator), ""); err != nil || !passed || !strings.Contains(filepath.ToSlash(got), want) {
			t.Errorf("run %d: got %v, %v, %s, want %q", i, passed, err, got, want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "deny.txtar")); err != nil || strings.Contains(string(text), "404") || !strings.Contains(string(text), "deny.yml\n") {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestNoCases(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		_, o := output(false)
		if _, err := b.Test(t.Context(), o, workbench.Suite{Paths: []string{dir}}); err == nil {
			t.Errorf("%s: got no error", dir)
		}
	}
}
