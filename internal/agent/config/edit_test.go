package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/agent/config"
)

func TestEditKeepsTheFile(t *testing.T) {
	t.Parallel()
	token := [2]string{"authtoken", "tok_NEW"}
	tests := []struct {
		name, in string
		pair     [2]string
		want     string
	}{
		{"empty", "", token, "version: 3\nagent:\n  authtoken: tok_NEW\n"},
		{"only a comment", "# mine\n", token, "version: 3\n# mine\nagent:\n  authtoken: tok_NEW\n"},
		{"without version", "agent:\n  log: false\n", token, "version: 3\nagent:\n  authtoken: tok_NEW\n  log: false\n"},
		{
			"comments and order", "# top\nversion: 3 # three\n\nendpoints: [] # none\n\nagent:\n    # the key\n    log: stdout # here\n    authtoken: \"old\"   # replace me\n\n# end\n", token,
			"# top\nversion: 3 # three\n\nendpoints: [] # none\n\nagent:\n    # the key\n    log: stdout # here\n    authtoken: tok_NEW   # replace me\n\n# end\n",
		},
		{"new key keeps indentation", "version: 3\nagent:\n      # note\n      log: stdout\n", token, "version: 3\nagent:\n      # note\n      authtoken: tok_NEW\n      log: stdout\n"},
		{"agent without a value", "version: 3\nagent: # nothing\nendpoints: []\n", token, "version: 3\nagent: # nothing\n  authtoken: tok_NEW\nendpoints: []\n"},
		{"flow style", "version: 3\nagent: {log: stdout} # c\n", token, "version: 3\nagent: {log: stdout, authtoken: tok_NEW} # c\n"},
		{"no line end", "version: 3\nagent:\n  log: stdout", token, "version: 3\nagent:\n  authtoken: tok_NEW\n  log: stdout\n"},
		{"value with a colon", "version: 3\n", [2]string{"connect_url", "h:9444"}, "version: 3\nagent:\n  connect_url: h:9444\n"},
		{"value that needs quotes", "version: 3\n", [2]string{"authtoken", "123: #x"}, "version: 3\nagent:\n  authtoken: '123: #x'\n"},
		{"removal", "version: 3\nagent:\n  connect_cas: host # c\n  log: stdout\n", [2]string{"connect_cas", ""}, "version: 3\nagent:\n  log: stdout\n"},
		{"removal of nothing", "version: 3\n", [2]string{"connect_cas", ""}, "version: 3\n"},
		{"version 2", "version: \"2\"\nauthtoken: old\n# c\n", token, "version: \"2\"\nauthtoken: tok_NEW\n# c\n"},
		{"version 2, renamed key", "version: 2\nauthtoken: x\n", [2]string{"connect_url", "h:1"}, "version: 2\nauthtoken: x\nserver_addr: h:1\n"},
		{"block scalar", "version: 3\nagent:\n  authtoken: |-\n    old\n  log: stdout\n", token, "version: 3\nagent:\n  authtoken: tok_NEW\n  log: stdout\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Edit("x.yml", []byte(tt.in), tt.pair)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("Edit\n got %q\nwant %q", got, tt.want)
			}
			again, err := config.Edit("x.yml", got, tt.pair)
			if err != nil || string(again) != string(got) {
				t.Errorf("Edit again = %q, %v, want no change", again, err)
			}
		})
	}
}

func TestEditRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"version: [", "- a\n- b\n", "version: 3\nagent: [a]\n"} {
		got, err := config.Edit("x.yml", []byte(in), [2]string{"authtoken", "t"})
		if err == nil && !strings.Contains(string(got), "authtoken: t") {
			t.Errorf("Edit(%q) = %q without an error", in, got)
		}
	}
}

func TestSetKeysWritesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "culvert.yml")
	if err := config.SetKeys(path, [2]string{"connect_url", "h:1"}, [2]string{"authtoken", "tok"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "version: 3\nagent:\n  authtoken: tok\n  connect_url: h:1\n"; string(got) != want {
		t.Errorf("file %q, want %q", got, want)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := config.SetKeys(link, [2]string{"authtoken", "tok2"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link was replaced: %q, %v", to, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v, want the file alone", entries, err)
	}
}

func FuzzEdit(f *testing.F) {
	for _, s := range []string{sample, "", "version: 2\n", "agent: {}\n", "agent: # x\n", "a: |\n b\nagent:\n  x: 1", "\"agent\": {authtoken: 1}\r\n"} {
		f.Add([]byte(s), "value")
	}
	f.Fuzz(func(t *testing.T, in []byte, value string) {
		if len(in) > 4096 {
			return
		}
		_, _ = config.Edit("x.yml", in, [2]string{"authtoken", value})
	})
}
