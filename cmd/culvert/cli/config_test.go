package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAgent01_FreshMachine(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	i := h.run(t, "config", "add-authtoken", token)
	i.check(t, 0)
	if want := "Authtoken saved to configuration file: " + h.config() + "\n"; i.out.String() != want {
		t.Errorf("printed %q, want %q", i.out, want)
	}
	if got, want := h.read(t), "version: 3\nagent:\n  authtoken: "+token+"\n"; got != want {
		t.Errorf("file %q, want %q", got, want)
	}
	info, err := os.Stat(h.config())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	i = h.run(t, "config", "check")
	i.check(t, 0)
	if want := "Valid configuration file at " + h.config() + "\n"; i.out.String() != want {
		t.Errorf("check printed %q, want %q", i.out, want)
	}
}

func TestAddConnectURL(t *testing.T) {
	t.Parallel()
	fingerprint := "sha256:" + strings.Repeat("ab", 32)
	w := newHome(t)
	ca := filepath.Join(w.dir, "ca.pem")
	pem := newWorldCA(t)
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		args, want string
	}{
		{"add-connect-url h:9444 --ca-fingerprint " + fingerprint, "  connect_ca_fingerprint: " + fingerprint + "\n  connect_url: h:9444\n"},
		{"add-server h2:9444", "  connect_ca_fingerprint: " + fingerprint + "\n  connect_url: h2:9444\n"},
		{"add-server-addr h3 --connect-cas " + ca, "  connect_cas: " + ca + "\n  connect_url: h3:443\n"},
		{"add-connect-url h4:1 --connect-cas host", "  connect_cas: host\n  connect_url: h4:1\n"},
	}
	for _, s := range steps {
		i := w.run(t, append([]string{"config"}, strings.Fields(s.args)...)...)
		i.check(t, 0)
		if got, want := w.read(t), "version: 3\nagent:\n"+s.want; got != want {
			t.Errorf("after %s: file %q, want %q", s.args, got, want)
		}
	}
	for _, tt := range []struct{ args, code string }{
		{"add-connect-url nonsense:x", "ERR_CULVERT_1205"},
		{"add-connect-url h:1 --ca-fingerprint abc", "ERR_CULVERT_1208"},
		{"add-connect-url h:1 --connect-cas /no/such/file", "ERR_CULVERT_1209"},
		{"add-connect-url h:1 --connect-cas host --ca-fingerprint " + fingerprint, "ERR_CULVERT_1216"},
	} {
		before := w.read(t)
		w.run(t, append([]string{"config"}, strings.Fields(tt.args)...)...).check(t, 1, tt.code)
		if w.read(t) != before {
			t.Errorf("%s was refused and still changed the file", tt.args)
		}
	}
}

func TestTokenFromStandardInput(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	i := h.program("config", "add-authtoken", "-")
	i.program.Stdin = strings.NewReader(token + "\n")
	i.start(t)
	i.wait(t)
	i.check(t, 0)
	if !strings.Contains(h.read(t), "authtoken: "+token+"\n") {
		t.Errorf("file %q", h.read(t))
	}
	h.run(t, "config", "add-authtoken", "-").check(t, 1, "standard input holds none")
	before := h.read(t)
	h.run(t, "config", "add-authtoken", "two words").check(t, 1, "ERR_NGROK_105", "it has 9 characters")
	if h.read(t) != before {
		t.Error("a malformed token was stored")
	}
	// The first token of a server may be any text.
	h.run(t, "config", "add-authtoken", "twenty characters: or # more").check(t, 0)
	h.run(t, "config", "check").check(t, 0)
	if !strings.Contains(h.read(t), "twenty characters: or # more") {
		t.Errorf("file %q", h.read(t))
	}
}

func TestConfigFlagChoosesTheFile(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	other := filepath.Join(h.dir, "other.yml")
	h.run(t, "--config", other, "config", "add-authtoken", token).check(t, 0)
	h.run(t, "config", "check", "--config", other).check(t, 0)
	if _, err := os.Stat(h.config()); err == nil {
		t.Error("the default file was written though --config names another one")
	}
	h.run(t, "config", "add-authtoken", token, "--config", "a.yml,b.yml").check(t, 1, "changes one file")
	h.run(t, "config", "check", "--config", filepath.Join(h.dir, "none.yml")).check(t, 1, "ERR_CULVERT_1201")
	h.run(t, "config", "check").check(t, 1, "ERR_CULVERT_1201")
}

func TestAgent15_CheckNamesEveryProblem(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(t, "version: 3\nendpoints:\n  - name: web\n    upsteam:\n      url: 80\n  - name: two\n    url: https://x_y.example\n    upstream: {url: 80}\n")
	i := h.run(t, "config", "check")
	i.check(t, 1, "ERROR:  "+h.config()+`:4:5: endpoints[0].upsteam: unknown key; did you mean "upstream"?`, "ERR_CULVERT_1202")
	h.write(t, "version: 3\nagent: {log_level: loud}\nendpoints:\n  - name: two\n    url: https://x_y.example\n    upstream: {url: 80}\n")
	h.run(t, "config", "check").check(t, 1, ":2:9: agent.log_level", ":5:5: endpoints[0].url", "ERR_NGROK_355")
	h.run(t, "start", "--all").check(t, 1, ":2:9: agent.log_level")
	h.write(t, "version: 3\nagent:\n  authtoken: short\n")
	h.run(t, "config", "check").check(t, 1, ":3:3: agent.authtoken", "ERR_NGROK_105", "it has 5 characters")
	h.run(t, "http", "80", "--connect-url", "localhost:1", "--authtoken", "flag").check(t, 1, "ERR_NGROK_105")
}

func TestAddressWithoutPort(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.run(t, "config", "add-connect-url", "tunnel.example.com").check(t, 0, "443 is used", "--ca-fingerprint")
	i := h.run(t, "config", "add-connect-url", "tls://tunnel.example.com:9444/", "--connect-cas", "host")
	i.check(t, 0)
	if i.err.String() != "" {
		t.Errorf("stderr %q, want nothing", i.err)
	}
	h.run(t, "http", "80", "--connect-url", "localhost").check(t, 1, "443 is used")
}

func TestCheckTellsOfIdleKeys(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(t, "version: 3\nagent:\n  web_addr: localhost:4040\n  update_check: false\nendpoints:\n  - name: web\n    inspect: true\n    upstream: {url: 80}\n")
	i := h.run(t, "config", "check")
	i.check(t, 0, "WARN:  "+h.config()+":3:3: agent.web_addr: the key has no effect yet", ":4:3: agent.update_check:", ":7:5: endpoints[0].inspect:")
	if n := strings.Count(i.err.String(), "WARN"); n != 3 {
		t.Errorf("%d warnings, want 3: %s", n, i.err)
	}
}

func TestCheckDoesNotAskForACheck(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(t, "version: 3\nendpoints:\n  - {name: web, upstream: 8080}\n")
	i := h.run(t, "config", "check")
	i.check(t, 1, "endpoints[0].upstream", "write {url: 8080}")
	if strings.Contains(i.err.String(), "config check") {
		t.Errorf("the remedy of config check is config check: %s", i.err)
	}
}

func TestConfigEdit(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	editor := filepath.Join(h.dir, "editor.sh")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\ncp \"$1\" \"$2\"\n"), 0o700); err != nil { //nolint:gosec // a script has to be executable
		t.Fatal(err)
	}
	good, bad := filepath.Join(h.dir, "good"), filepath.Join(h.dir, "bad")
	for path, text := range map[string]string{good: "version: 3\nagent: {log: stdout}\n", bad: "version: [\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(editorWords string) *invocation {
		i := h.program("config", "edit")
		i.program.Env = append(i.program.Env, "EDITOR="+editorWords)
		i.start(t)
		i.wait(t)
		return i
	}
	edit(editor+" "+bad).check(t, 1, "ERR_CULVERT_1202")
	i := edit(editor + " " + good)
	i.check(t, 0) // an invalid file can be mended
	if !strings.Contains(i.out.String(), "Valid configuration file at "+h.config()) {
		t.Errorf("printed %q", i.out)
	}
	edit("/no/such/editor").check(t, 1, "ERR_CULVERT_1227")
}

func TestNotices(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(t, "version: 2\nauthtoken: "+token+"\n")
	if err := os.Chmod(h.config(), 0o644); err != nil { //nolint:gosec // that is what the notice is about
		t.Fatal(err)
	}
	h.run(t, "config", "check").check(t, 0, "WARN:  ", "older version 2", "chmod 600")
}
