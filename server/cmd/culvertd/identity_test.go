package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// keptDir returns a data directory of a server that does not run.
func keptDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runIn runs culvertd on a data directory.
func runIn(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) (string, bool) { return "", false },
		unsetenv: func(string) {}, terminal: func(io.Writer) bool { return false }, home: os.UserHomeDir, called: "culvertd",
	}
	code = p.run(t.Context(), append(args, "--data-dir", dir))
	return code, out.String(), errs.String()
}

// mustIn is runIn for what succeeds.
func mustIn(t *testing.T, dir string, args ...string) (stdout string) {
	t.Helper()
	code, out, errs := runIn(t, dir, args...)
	if code != 0 {
		t.Fatalf("culvertd %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

// rosterOf returns who a server of the data directory would let in.
func rosterOf(t *testing.T, dir string) *identity.Roster {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := node.OpenDatabase(t.Context(), node.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	r := identity.NewRoster(v)
	if _, err := db.View(t.Context(), func(tx store.Tx) error { return r.Load(tx) }); err != nil {
		t.Fatal(err)
	}
	return r
}

// line returns the line of a list that has a text, as its columns.
func line(t *testing.T, list, text string) []string {
	t.Helper()
	for l := range strings.Lines(list) {
		if strings.Contains(l, text) {
			return strings.Fields(l)
		}
	}
	t.Fatalf("no line with %q in\n%s", text, list)
	return nil
}

func TestCredentialCommands(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	for command, find := range map[string]func(r *identity.Roster, text string) (identity.Holder, error){
		"authtoken": func(r *identity.Roster, text string) (identity.Holder, error) { return r.Authtoken(t.Context(), text) },
		"api-key":   func(r *identity.Roster, text string) (identity.Holder, error) { return r.APIKey(t.Context(), text) },
	} {
		out := mustIn(t, dir, command, "new", "--note", "build machines")
		text := strings.TrimSuffix(out, "\n")
		if !regexp.MustCompile(`^cva[tk]_[a-z2-7]{32}$`).MatchString(text) {
			t.Errorf("%s new prints %q, want the credential alone", command, out)
		}
		h, err := find(rosterOf(t, dir), text)
		if err != nil || h.Account != identity.DefaultAccount || !h.Admin {
			t.Errorf("%s: %+v, %v, want it to be valid and the administrator's", command, h, err)
		}
		list := mustIn(t, dir, command, "list")
		if id := line(t, list, "build machines")[0]; id != h.ID || strings.Contains(list, text) {
			t.Errorf("%s list shows %s, want %s and not the credential:\n%s", command, id, h.ID, list)
		}
		mustIn(t, dir, command, "disable", h.ID)
		if _, err := find(rosterOf(t, dir), text); err == nil {
			t.Errorf("%s is valid after disable", command)
		}
		if code, _, errs := runIn(t, dir, command, "disable", h.ID); code == 0 || !strings.Contains(errs, string(fault.IdentityUnknown)) {
			t.Errorf("%s disable again: exit code %d\n%s", command, code, errs)
		}
	}
	token := mustIn(t, dir, "authtoken", "new", "--acl", "bind:*.a.test", "--acl", "bind:b.test")
	r := rosterOf(t, dir)
	h, err := r.Authtoken(t.Context(), strings.TrimSpace(token))
	if acl := r.ACL(h.ID); err != nil || len(acl) != 2 || acl[0] != "bind:*.a.test" {
		t.Errorf("acl = %q, %v", acl, err)
	}
	if code, _, errs := runIn(t, dir, "authtoken", "new", "--acl", "a.test"); code == 0 || !strings.Contains(errs, string(fault.ACLInvalid)) {
		t.Errorf("bad rule: exit code %d\n%s", code, errs)
	}
}

func TestAccountAndUserCommands(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	out := mustIn(t, dir, "account", "new", "Team blue", "--email", "ann@blue.test")
	account, key, token := line(t, out, "account")[1], line(t, out, "api key")[2], line(t, out, "authtoken")[1]
	valid := func(want bool) {
		t.Helper()
		r := rosterOf(t, dir)
		_, keyErr := r.APIKey(t.Context(), key)
		_, tokenErr := r.Authtoken(t.Context(), token)
		if (keyErr == nil) != want || (tokenErr == nil) != want {
			t.Errorf("API key: %v, authtoken: %v, want valid: %v", keyErr, tokenErr, want)
		}
	}
	valid(true)
	mustIn(t, dir, "account", "disable", account)
	valid(false)
	if l := mustIn(t, dir, "account", "list"); !strings.Contains(strings.Join(line(t, l, account), " "), "Team blue ann@blue.test suspended") {
		t.Errorf("account list:\n%s", l)
	}
	mustIn(t, dir, "account", "enable", account)
	valid(true)
	mustIn(t, dir, "user", "disable", "ANN@blue.test", "--account", account)
	valid(false)
	mustIn(t, dir, "user", "enable", "ann@blue.test", "--account", account)
	id := strings.TrimSpace(mustIn(t, dir, "user", "new", "bob@blue.test", "--account", account, "--read-only"))
	if got := line(t, mustIn(t, dir, "user", "list", "--account", account), id); got[1] != "bob@blue.test" || got[2] != "read-only" {
		t.Errorf("user list: %q", got)
	}
	bobs := strings.TrimSpace(mustIn(t, dir, "api-key", "new", "--account", account, "--owner", "bob@blue.test"))
	if _, err := rosterOf(t, dir).APIKey(t.Context(), bobs); !fault.Has(err, fault.OwnerReadOnly) {
		t.Errorf("key of a reader: %v, want %s", err, fault.OwnerReadOnly)
	}
}

func TestIdentityCommandsRefuse(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	for _, args := range [][]string{
		{"account", "new"},
		{"account", "new", "a", "b"},
		{"account", "new", "a", "--email", "nobody"},
		{"account", "disable", "ac_nothing"},
		{"user", "new", "x"},
		{"user", "list", "--account", "ac_nothing"},
		{"user", "disable", "x@y.test"},
		{"api-key", "new", "x"},
		{"api-key", "new", "--owner", "usr_nobody"},
		{"authtoken", "disable"},
		{"authtoken", "disable", "cr_nothing"},
	} {
		if code, _, errs := runIn(t, dir, args...); code == 0 || !strings.Contains(errs, "ERR_") {
			t.Errorf("culvertd %s: exit code %d, and no code in\n%s", strings.Join(args, " "), code, errs)
		}
	}
	for want, args := range map[string][]string{
		`"culvertd account new" needs --email`:             {"account", "new", "a"},
		`The value "0" of --limit is not valid`:            {"audit", "--limit", "0"},
		"The backup cannot be written to " + dir + "/no/b": {"backup", dir + "/no/b"},
	} {
		if code, _, errs := runIn(t, dir, args...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("culvertd %s: exit code %d, and not %q in\n%s", strings.Join(args, " "), code, want, errs)
		}
	}
	empty := t.TempDir()
	if code, _, errs := runIn(t, empty, "authtoken", "new"); code == 0 || !strings.Contains(errs, string(fault.DataDirUnusable)) {
		t.Errorf("where no server has run: exit code %d\n%s", code, errs)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("the refused command left %v there, %v", left, err)
	}
}

// Each command that makes or takes away has an example in its help.
func TestIdentityCommandsHaveExamples(t *testing.T) {
	t.Parallel()
	p := &program{}
	for _, group := range []*cobra.Command{p.accountCommand(), p.userCommand(), p.apiKeyCommand(), p.tokenCommand(), p.restrictionCommand()} {
		for _, cmd := range group.Commands() {
			if cmd.Short == "" || cmd.Example == "" && !strings.HasPrefix(cmd.Use, "list") && cmd.Name() != "enable" {
				t.Errorf("culvertd %s %s has no example", group.Name(), cmd.Name())
			}
		}
	}
}
