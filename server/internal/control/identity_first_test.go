package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// offline is the data of a server that does not run.
type offline struct {
	t         *testing.T
	dir       string
	vault     *vault.Vault
	shared    *control.Shared
	directory *control.Directory
}

func newOffline(t *testing.T, dir string) *offline {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	shared := &control.Shared{Store: db, Settle: func(context.Context, store.Revision) error { return nil }, Now: time.Now}
	return &offline{t, dir, v, shared, control.NewDirectory(shared, v)}
}

func (p *offline) ensure(f control.First) control.Made {
	p.t.Helper()
	f.DataDir = p.dir
	made, err := p.directory.Ensure(p.t.Context(), f)
	if err != nil {
		p.t.Fatalf("Ensure: %v", err)
	}
	return made
}

// roster returns who is known now.
func (p *offline) roster() *identity.Roster {
	p.t.Helper()
	r := identity.NewRoster(p.vault)
	if _, err := p.shared.Store.View(p.t.Context(), r.Load); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// tokenFile writes the file in which servers of before kept their authtokens.
func (p *offline) tokenFile(texts ...string) {
	p.t.Helper()
	records := []identity.Record{}
	for i, text := range texts {
		records = append(records, identity.Record{
			ID: "at_" + text, Account: identity.DefaultAccount, Note: "note of " + text, Hash: identity.Hash(p.vault, text),
			CreatedAt: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), Bootstrap: i > 0,
		})
	}
	raw, err := json.Marshal(map[string]any{"version": 1, "key_check": identity.KeyCheck(p.vault), "tokens": records})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "tokens.json"), raw, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	made := p.ensure(control.First{})
	if made.Account != identity.DefaultAccount || !strings.HasPrefix(made.Authtoken, "cvat_") || !strings.HasPrefix(made.APIKey, "cvak_") {
		t.Fatalf("made %+v, want the first account and its credentials", made)
	}
	r := p.roster()
	token, err := r.Authtoken(t.Context(), made.Authtoken)
	if err != nil || token.Account != identity.DefaultAccount || token.Principal != made.User {
		t.Errorf("authtoken: %+v, %v", token, err)
	}
	key, err := r.APIKey(t.Context(), made.APIKey)
	if err != nil || !key.Admin || key.Account != identity.DefaultAccount {
		t.Errorf("API key: %+v, %v, want an administrator's", key, err)
	}
	if again := p.ensure(control.First{}); again != (control.Made{}) {
		t.Errorf("the second start made %+v, want nothing", again)
	}
}

// TestFirstStartTakesTheFileOver: what a server of before kept in a file goes on working.
func TestFirstStartTakesTheFileOver(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	p.tokenFile("cvat_first_of_the_file_01", "some bootstrap text of the file")
	if made := p.ensure(control.First{Bare: true}); made.Authtoken != "" {
		t.Errorf("made %+v, want no authtoken", made)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "tokens.json")); err != nil {
		t.Errorf("a command has put the file away: %v", err)
	}
	p.ensure(control.First{Authtoken: "some bootstrap text of the file"})
	if _, err := os.Stat(filepath.Join(p.dir, "tokens.json.imported")); err != nil {
		t.Errorf("the file is not put away: %v", err)
	}
	for _, text := range []string{"cvat_first_of_the_file_01", "some bootstrap text of the file"} {
		h, err := p.roster().Authtoken(t.Context(), text)
		if err != nil || !strings.HasPrefix(h.ID, "cr_") {
			t.Errorf("Authtoken(%s) = %+v, %v", text, h, err)
		}
	}
	caller, err := p.directory.Caller(t.Context(), identity.DefaultAccount)
	if err != nil {
		t.Fatal(err)
	}
	items, _, err := control.NewCredentials(p.shared, p.vault).List(t.Context(), caller, control.Page{Limit: 10})
	if raw, _ := json.Marshal(items); err != nil || len(items) != 2 || !strings.Contains(string(raw), "note of cvat_first") {
		t.Errorf("credentials = %s, %v, want both with their notes", raw, err)
	}
}

func TestDamagedTokenFile(t *testing.T) {
	t.Parallel()
	rec := `{"id":"at_1","account":"ac","created_at":"2026-01-01T00:00:00Z","hash":"h"}`
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
		want    fault.Code
	}{
		"not JSON":           {"x", 0o600, fault.TokenFileDamaged},
		"empty":              {"", 0o600, fault.TokenFileDamaged},
		"later version":      {`{"version":2,"tokens":[]}`, 0o600, fault.TokenFileDamaged},
		"unknown field":      {`{"version":1,"tokens":[],"acl":[]}`, 0o600, fault.TokenFileDamaged},
		"incomplete record":  {`{"version":1,"tokens":[{"id":"at_1"}]}`, 0o600, fault.TokenFileDamaged},
		"trailing text":      {`{"version":1,"tokens":[` + rec + `]}x`, 0o600, fault.TokenFileDamaged},
		"readable by others": {`{"version":1,"tokens":[]}`, 0o644, fault.SecretFileMode},
		"other keys":         {`{"version":1,"key_check":"x","tokens":[` + rec + `]}`, 0o600, fault.SealingKeyDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newOffline(t, t.TempDir())
			if err := os.WriteFile(filepath.Join(p.dir, "tokens.json"), []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := p.directory.Ensure(t.Context(), control.First{DataDir: p.dir}); !fault.Has(err, tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestS10_LostSealingKeyIsNoticed: without the key that the credentials were hashed with none is known any
// more, and a server that made itself a new key would refuse everybody without a word.
func TestS10_LostSealingKeyIsNoticed(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	p.ensure(control.First{})
	if err := os.Remove(filepath.Join(p.dir, "sealing.key")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the key that the first try makes is no better the second time
		again := newOffline(t, p.dir)
		if _, err := again.directory.Ensure(t.Context(), control.First{DataDir: p.dir}); !fault.Has(err, fault.SealingKeyDamaged) {
			t.Errorf("got %v, want %s", err, fault.SealingKeyDamaged)
		}
	}
}

// TestBootstrapCredentials: what the environment sets is valid at each start, in place of what it set before,
// and stays revoked once it was revoked.
func TestBootstrapCredentials(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	const token, key = "a bootstrap token, any text", "a_bootstrap_API_key-any_text"
	valid := func(token, key string, wantToken, wantKey bool) {
		t.Helper()
		r := p.roster()
		h, err := r.Authtoken(t.Context(), token)
		if (err == nil) != wantToken || wantToken && h.Account != identity.DefaultAccount {
			t.Errorf("%q: %+v, %v, want valid: %v", token, h, err, wantToken)
		}
		h, err = r.APIKey(t.Context(), key)
		if (err == nil) != wantKey || wantKey && !h.Admin {
			t.Errorf("%q: %+v, %v, want valid: %v", key, h, err, wantKey)
		}
	}
	for range 2 {
		if made := p.ensure(control.First{Authtoken: token, APIKey: key}); made.Authtoken != "" || made.APIKey != "" {
			t.Errorf("made %+v beside what is set", made)
		}
		valid(token, key, true, true)
	}
	p.ensure(control.First{Authtoken: token + " 2", APIKey: key + "_2"})
	valid(token, key, false, false)
	valid(token+" 2", key+"_2", true, true)
	p.ensure(control.First{Authtoken: token, APIKey: key})
	valid(token, key, true, true)

	r := p.roster()
	caller, err := p.directory.Caller(t.Context(), identity.DefaultAccount)
	if err != nil {
		t.Fatal(err)
	}
	for _, revoke := range []struct {
		resource control.Resource
		find     func(context.Context, string) (identity.Holder, error)
		text     string
	}{{control.NewCredentials(p.shared, p.vault), r.Authtoken, token}, {control.NewAPIKeys(p.shared, p.vault), r.APIKey, key}} {
		h, err := revoke.find(t.Context(), revoke.text)
		if err != nil {
			t.Fatal(err)
		}
		if err := revoke.resource.Delete(t.Context(), caller, h.ID); err != nil {
			t.Fatal(err)
		}
	}
	p.ensure(control.First{Authtoken: token, APIKey: key})
	valid(token, key, false, false)
}

// The administrator that the first start made may be disabled. A bootstrap key is then another administrator's, if
// there is one who may use it.
func TestBootstrapOwnerIsActive(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	p.ensure(control.First{})
	second, err := p.directory.NewUser(t.Context(), identity.DefaultAccount, identity.User{Email: "ann@example.com", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.directory.Activate(t.Context(), identity.DefaultAccount, "admin@localhost", false); err != nil {
		t.Fatal(err)
	}
	const key = "a_bootstrap_API_key-any_text"
	p.ensure(control.First{APIKey: key})
	if h, err := p.roster().APIKey(t.Context(), key); err != nil || h.Principal != second {
		t.Errorf("the bootstrap key: %+v, %v, want it to be of %s", h, err, second)
	}
}

// TestA1_EveryCredentialIsRecorded: also those that come and go without the API, and what culvertd does is not
// recorded as an administrator's doing.
func TestA1_EveryCredentialIsRecorded(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	p.tokenFile("cvat_first_of_the_file_01")
	p.ensure(control.First{APIKey: "a_bootstrap_API_key-any_text"})
	p.ensure(control.First{APIKey: "another_bootstrap_API_key"})
	if _, err := p.directory.NewAccount(t.Context(), "other", "ann@other.test"); err != nil {
		t.Fatal(err)
	}
	caller, err := p.directory.Caller(t.Context(), identity.DefaultAccount)
	if err != nil {
		t.Fatal(err)
	}
	must := func(answer any, err error) (id string) {
		t.Helper()
		raw, _ := json.Marshal(answer)
		var made struct{ ID string }
		if err := errors.Join(err, json.Unmarshal(raw, &made)); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	users, keys := control.NewBotUsers(p.shared), control.NewAPIKeys(p.shared, p.vault)
	bot := must(users.Create(t.Context(), caller, []byte(`{"name":"bot"}`)))
	must(keys.Create(t.Context(), caller, []byte(`{"owner_id":"`+bot+`"}`)))
	policies, rules := control.NewIPPolicies(p.shared), control.NewIPPolicyRules(p.shared)
	policy := must(policies.Create(t.Context(), caller, nil))
	must(rules.Create(t.Context(), caller, []byte(`{"ip_policy_id":"`+policy+`","cidr":"192.0.2.0/24","action":"allow"}`)))
	if err := errors.Join(users.Delete(t.Context(), caller, bot), policies.Delete(t.Context(), caller, policy)); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	_, err = p.shared.Store.View(t.Context(), func(tx store.Tx) error {
		for e, err := range control.AuditTrail(tx, control.AuditQuery{Limit: 1000}) {
			if err != nil {
				return err
			}
			got[e.Doc.Type]++
			if e.Doc.Principal != "" {
				t.Errorf("%s is recorded as done by %s", e.Doc.Type, e.Doc.Principal)
			}
		}
		return nil
	})
	for what, want := range map[string]int{
		"tunnel_credential_created.v0": 2, // of the file, with the account
		"api_key_created.v0":           4, // two of the environment, with the account, the service user's
		"api_key_deleted.v0":           2, // the environment's former one, with the service user
		"ip_policy_rule_deleted.v0":    1,
	} {
		if err != nil || got[what] != want {
			t.Errorf("%s: %d times, %v, want %d", what, got[what], err, want)
		}
	}
}

func TestBootstrapRefusals(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	const text = "a_text_of_twenty_characters_or_more"
	for want, f := range map[fault.Code]control.First{
		fault.BootstrapTokenInvalid: {Authtoken: "nineteen characters"},
		fault.BootstrapKeyInvalid:   {APIKey: strings.Repeat("x", 257)},
		fault.BootstrapTwice:        {Authtoken: text, APIKey: text},
	} {
		f.DataDir = p.dir
		if _, err := p.directory.Ensure(t.Context(), f); !fault.Has(err, want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if all, err := p.directory.Accounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("accounts after refusals = %v, %v, want none", all, err)
	}
}

// TestA2_SuspendedAccount: nobody of a suspended account is let in, at once and until it ends.
func TestA2_SuspendedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := w.directory.NewAccount(t.Context(), "other", "ann@other.test")
	if err != nil {
		t.Fatal(err)
	}
	h, err := w.gate.Agent(t.Context(), other.Authtoken, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	for _, suspended := range []bool{true, false} {
		if err := w.directory.Suspend(t.Context(), other.Account, !suspended); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.roster.Revocations():
		default:
			t.Errorf("suspended %v: nobody was told", suspended)
		}
		_, agent := w.gate.Agent(t.Context(), other.Authtoken, netip.Addr{})
		_, api := w.gate.APIKey(t.Context(), other.APIKey, netip.Addr{})
		if w.roster.Valid(h.ID) == suspended || fault.Has(agent, fault.AccountSuspended) != suspended || fault.Has(api, fault.AccountSuspended) != suspended {
			t.Errorf("suspended %v: valid %v, agent %v, API %v", suspended, w.roster.Valid(h.ID), agent, api)
		}
	}
	if _, err := w.gate.APIKey(t.Context(), firstKey, netip.Addr{}); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// TestOtherProcessMakesACredential: what a command makes is accepted by the server that runs beside it.
func TestOtherProcessMakesACredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	beside := newOffline(t, w.dir)
	made, err := beside.directory.NewAccount(t.Context(), "other", "ann@other.test")
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the API key is known", func() bool {
		_, err := w.gate.APIKey(t.Context(), made.APIKey, netip.Addr{})
		return err == nil
	})
	if _, err := w.gate.Agent(t.Context(), made.Authtoken, netip.Addr{}); err != nil {
		t.Errorf("authtoken: %v", err)
	}
}

func TestUsersOfAnAccount(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	p.ensure(control.First{})
	ctx := t.Context()
	if _, err := p.directory.NewUser(ctx, identity.DefaultAccount, identity.User{Email: "Ann@a.test"}); err != nil {
		t.Fatal(err)
	}
	for want, f := range map[fault.Code]func() error{
		fault.EmailTaken: func() error {
			_, err := p.directory.NewUser(ctx, identity.DefaultAccount, identity.User{Email: "ann@A.test"})
			return err
		},
		fault.IdentityInvalid: func() error {
			_, err := p.directory.NewUser(ctx, identity.DefaultAccount, identity.User{Email: "ann"})
			return err
		},
		fault.IdentityUnknown: func() error {
			_, err := p.directory.NewUser(ctx, "ac_other", identity.User{Email: "ann@a.test"})
			return err
		},
	} {
		if err := f(); !fault.Has(err, want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, err := range []error{
		p.directory.Activate(ctx, identity.DefaultAccount, "bob@a.test", false), p.directory.Activate(ctx, "ac_other", "ann@a.test", false),
		p.directory.Suspend(ctx, "ac_other", false),
	} {
		if !fault.Has(err, fault.IdentityUnknown) {
			t.Errorf("got %v, want %s", err, fault.IdentityUnknown)
		}
	}
	if _, err := p.directory.NewAccount(ctx, "", "a@b.test"); !fault.Has(err, fault.IdentityInvalid) {
		t.Errorf("account without a name: %v, want %s", err, fault.IdentityInvalid)
	}
	if err := p.directory.Activate(ctx, identity.DefaultAccount, "admin@localhost", false); err != nil {
		t.Fatal(err)
	}
	if _, err := p.directory.Caller(ctx, identity.DefaultAccount); !fault.Has(err, fault.IdentityUnknown) {
		t.Errorf("caller of an account without administrators: %v, want %s", err, fault.IdentityUnknown)
	}
}
