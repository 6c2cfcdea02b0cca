package identity_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/vault"
)

func open(t *testing.T, dir string) *identity.Store {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Open(dir, v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *identity.Store, note string) string {
	t.Helper()
	token, _, err := s.Create(t.Context(), note)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestS10_LostSealingKeyIsNoticed: without the key that the tokens were hashed with none is known any more,
// and a server that made itself a new key would refuse every agent without a word.
func TestS10_LostSealingKeyIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, open(t, dir), "")
	if err := os.Remove(filepath.Join(dir, "sealing.key")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the key that the first try makes is no better the second time
		v, err := vault.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(dir, v); !fault.Has(err, fault.SealingKeyDamaged) {
			t.Errorf("got %v, want %s", err, fault.SealingKeyDamaged)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	token, rec, err := s.Create(t.Context(), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	if form := regexp.MustCompile(`^cvat_[a-z2-7]{32}$`); !form.MatchString(token) {
		t.Errorf("token = %q, want the form %s", token, form)
	}
	if rec.Note != "laptop" || rec.Prefix != token[:8] || rec.Account != identity.DefaultAccount || !strings.HasPrefix(rec.ID, "at_") {
		t.Errorf("record = %+v, want note, prefix, account and id", rec)
	}
	for name, w := range map[string]*identity.Store{"same store": s, "opened again": open(t, dir)} {
		if got, err := w.Authenticate(token); err != nil || got != rec {
			t.Errorf("%s: Authenticate = %+v, %v, want %+v", name, got, err, rec)
		}
	}
	path := filepath.Join(dir, "tokens.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), token) {
		t.Error("the file holds the token in the clear")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file = %v, %v, want 600", info.Mode(), err)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "")
	tests := []struct {
		name, token string
		code        fault.Code
	}{
		{"none", "", fault.TokenMissing},
		{"too short", "short", fault.TokenMalformed},
		{"19 characters", "abcdefgh_0123456789", fault.TokenMalformed},
		{"no underscore", "abcdefgh0123456789abcdef", fault.TokenUnknown},
		{"underscore outside", "_abcdefgh0123456789abcdef_", fault.TokenUnknown},
		{"odd character", "abcdefgh_0123456789 abcdef", fault.TokenMalformed},
		{"too long", "a_" + strings.Repeat("b", 300), fault.TokenMalformed},
		{"20 characters, unknown", "abcdefgh_01234567890", fault.TokenUnknown},
		{"our form, unknown", "cvat_abcdefghijklmnopqrstuvwxyz234567", fault.TokenUnknown},
		{"another service's form", "2abcdefghijklmnopqrstuvwxyz_4567890123456789012", fault.TokenUnknown},
		{"API key", "cvak_abcdefghijklmnopqrstuvwxyz234567", fault.TokenIsAPIKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Authenticate(tt.token)
			if !fault.Has(err, tt.code) {
				t.Fatalf("Authenticate(%q) = %v, want code %s", tt.token, err, tt.code)
			}
			if len(tt.token) > 8 && strings.Contains(fault.From(err).Wire(), tt.token) {
				t.Errorf("the refusal repeats the token: %v", err)
			}
		})
	}
}

// The refusal of a malformed token names what is wrong with it.
func TestRefusalNamesTheFlaw(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for token, want := range map[string]string{
		"short":                      "it has 5 characters, and a token has 20 to 256",
		"abcdefgh_0123456789 abcdef": "it has ' ' in it",
		strings.Repeat("b", 300):     "it has 300 characters",
	} {
		if _, err := s.Authenticate(token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Authenticate(%q) = %v, want it to say %q", token, err, want)
		}
	}
}

func TestOtherProcessChangesFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := open(t, dir)
	old := create(t, server, "")
	added := create(t, open(t, dir), "") // as culvertd authtoken new does
	for _, token := range []string{old, added} {
		if _, err := server.Authenticate(token); err != nil {
			t.Errorf("Authenticate after the other process added a token: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "tokens.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Authenticate(old); !fault.Has(err, fault.TokenUnknown) {
		t.Errorf("Authenticate after the file was removed = %v, want code %s", err, fault.TokenUnknown)
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	rec := `{"id":"at_1","account":"ac","created_at":"2026-01-01T00:00:00Z","hash":"h"}`
	tests := []struct {
		name, content string
		mode          os.FileMode
		code          fault.Code
	}{
		{"not JSON", "x", 0o600, fault.TokenFileDamaged},
		{"empty", "", 0o600, fault.TokenFileDamaged},
		{"later version", `{"version":2,"tokens":[]}`, 0o600, fault.TokenFileDamaged},
		{"unknown field", `{"version":1,"tokens":[],"acl":[]}`, 0o600, fault.TokenFileDamaged},
		{"incomplete record", `{"version":1,"tokens":[{"id":"at_1"}]}`, 0o600, fault.TokenFileDamaged},
		{"same token twice", `{"version":1,"tokens":[` + rec + `,` + rec + `]}`, 0o600, fault.TokenFileDamaged},
		{"trailing text", `{"version":1,"tokens":[]}x`, 0o600, fault.TokenFileDamaged},
		{"readable by others", `{"version":1,"tokens":[]}`, 0o644, fault.SecretFileMode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v, err := vault.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "tokens.json"), []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := identity.Open(dir, v); !fault.Has(err, tt.code) {
				t.Errorf("Open = %v, want code %s", err, tt.code)
			}
		})
	}
}

func TestDamagedWhileRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	token := create(t, s, "")
	if err := os.WriteFile(filepath.Join(dir, "tokens.json"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(token); err != nil {
		t.Errorf("Authenticate of a known token = %v, want it to stay valid", err)
	}
	_, err := s.Authenticate("cvat_abcdefghijklmnopqrstuvwxyz234567")
	if !fault.Has(err, fault.TokenUnknown) {
		t.Errorf("Authenticate of an unknown token = %v, want code %s", err, fault.TokenUnknown)
	}
	if cause := errors.Unwrap(err); !fault.Has(cause, fault.TokenFileDamaged) {
		t.Errorf("cause = %v, want the damaged file", cause)
	}
	if _, _, err := s.Create(t.Context(), ""); !fault.Has(err, fault.TokenFileDamaged) {
		t.Errorf("Create = %v, want a refusal that leaves the file alone", err)
	}
}

func TestEnsureBootstrap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	made, err := s.EnsureBootstrap(t.Context(), "")
	if err != nil || made == "" {
		t.Fatalf("on first start: made %q, %v, want a token", made, err)
	}
	if again, err := s.EnsureBootstrap(t.Context(), ""); err != nil || again != "" {
		t.Errorf("on second start: made %q, %v, want none", again, err)
	}
	for _, text := range []string{"any text of 20 chars", "another text, longer than 20 characters"} {
		for range 2 {
			if made, err := s.EnsureBootstrap(t.Context(), text); err != nil || made != "" {
				t.Errorf("EnsureBootstrap(%q) = %q, %v, want none made", text, made, err)
			}
		}
		if _, err := s.Authenticate(text); err != nil {
			t.Errorf("Authenticate(%q) = %v", text, err)
		}
	}
	if _, err := s.Authenticate("any text of 20 chars"); err == nil {
		t.Error("the bootstrap token that was replaced is still valid")
	}
	if _, err := s.Authenticate(made); err != nil {
		t.Errorf("the first token is gone: %v", err)
	}
	if got := len(s.List()); got != 2 {
		t.Errorf("%d tokens, want 2", got)
	}
	for _, bad := range []string{"nineteen characters", strings.Repeat("x", 257)} {
		if _, err := s.EnsureBootstrap(t.Context(), bad); !fault.Has(err, fault.BootstrapTokenInvalid) {
			t.Errorf("EnsureBootstrap of %d characters = %v, want code %s", len(bad), err, fault.BootstrapTokenInvalid)
		}
	}
}

func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	tokens := make([]string, 12)
	stores := []*identity.Store{open(t, dir), open(t, dir), open(t, dir)}
	for i := range tokens {
		wg.Go(func() {
			tokens[i], _, _ = stores[i%len(stores)].Create(context.WithoutCancel(t.Context()), "")
		})
	}
	wg.Wait()
	for i, s := range stores {
		for _, token := range tokens {
			if _, err := s.Authenticate(token); err != nil {
				t.Errorf("store %d lost a token that was made at the same time: %v", i, err)
			}
		}
	}
}
