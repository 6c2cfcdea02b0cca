package cli_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// The help texts are part of the product: a change shows up in review.
func TestHelpTexts(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"help", "http --help", "tcp --help", "tls --help", "start --help", "config --help", "config check --help", "config edit --help",
		"config add-authtoken --help", "config add-connect-url --help", "api vault-secrets create --help", "api vaults list --help", "help policy", "diagnose --help", "version --help", "completion --help",
	} {
		name := strings.TrimSuffix(strings.ReplaceAll(words, " ", "-"), "---help")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newHome(t).run(t, strings.Fields(words)...)
			if i.code != 0 || i.err.String() != "" {
				t.Fatalf("exit code %d, stderr %q", i.code, i.err)
			}
			golden(t, name, i.out.String())
		})
	}
}

func TestSummaryOfTheBareProgram(t *testing.T) {
	t.Parallel()
	i := newHome(t).run(t)
	i.check(t, 0)
	golden(t, "bare", i.out.String())
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("text differs from %s (go test ./cmd/culvert/cli -update writes it anew)\n got:\n%s\nwant:\n%s", path, got, want)
	}
}
