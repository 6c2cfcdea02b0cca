package identity_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Credentials of every test.
const (
	authtoken = "cvat_a_token_of_the_test_01"
	apiKey    = "cvak_a_key_of_the_test_0123"
)

// place is a database and a roster that has not read it yet.
type place struct {
	t      *testing.T
	db     *sqlstore.Store
	vault  *vault.Vault
	roster *identity.Roster
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &place{t, db, v, identity.NewRoster(v)}
}

// fill stores an account with a user, who has an authtoken and an API key.
func (p *place) fill() {
	p.t.Helper()
	accounts, users, authtokens, keys := identity.Accounts(), identity.Users(), identity.Authtokens(), identity.APIKeys()
	_, err := p.db.Update(p.t.Context(), func(tx store.Tx) error {
		if err := accounts.Put(tx, &store.Object[identity.Account]{ID: "ac_1", Account: "ac_1"}); err != nil {
			return err
		}
		if err := users.Put(tx, &store.Object[identity.User]{ID: "usr_1", Account: "ac_1", Doc: identity.User{Email: "a@b.test"}}); err != nil {
			return err
		}
		token := &store.Object[identity.Token]{ID: "cr_1", Account: "ac_1", Doc: identity.Token{Owner: "usr_1", Hash: identity.Hash(p.vault, authtoken), ACL: []string{"bind:a.test"}}}
		if err := authtokens.Put(tx, token); err != nil {
			return err
		}
		return keys.Put(tx, &store.Object[identity.Token]{ID: "ak_1", Account: "ac_1", Doc: identity.Token{Owner: "usr_1", Hash: identity.Hash(p.vault, apiKey)}})
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// load lets the roster read the database.
func (p *place) load() {
	p.t.Helper()
	if _, err := p.db.View(p.t.Context(), p.roster.Load); err != nil {
		p.t.Fatal(err)
	}
}

func TestAuthtokenRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill()
	p.load()
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
		{"API key", apiKey, fault.TokenIsAPIKey},
		{"no API key of ours", "cvak_abcdefghijklmnopqrstuvwxyz234567", fault.TokenIsAPIKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := p.roster.Authtoken(t.Context(), tt.token)
			if !fault.Has(err, tt.code) {
				t.Fatalf("Authtoken(%q) = %v, want code %s", tt.token, err, tt.code)
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
	p := newPlace(t)
	for token, want := range map[string]string{
		"short":                      "it has 5 characters, and a token has 20 to 256",
		"abcdefgh_0123456789 abcdef": "it has ' ' in it",
		strings.Repeat("b", 300):     "it has 300 characters",
	} {
		if _, err := p.roster.Authtoken(t.Context(), token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Authtoken(%q) = %v, want it to say %q", token, err, want)
		}
	}
}

// TestRosterFollows: what changes in the store changes who is let in, and what was taken away is told.
func TestRosterFollows(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill()
	p.load()
	<-p.roster.Revocations()
	if h, err := p.roster.Authtoken(t.Context(), authtoken); err != nil || h != (identity.Holder{ID: "cr_1", Account: "ac_1", Principal: "usr_1"}) {
		t.Fatalf("Authtoken = %+v, %v", h, err)
	}
	if acl := p.roster.ACL("cr_1"); len(acl) != 1 || acl[0] != "bind:a.test" {
		t.Errorf("ACL = %q", acl)
	}
	if acl := p.roster.ACL("cr_2"); len(acl) == 0 {
		t.Error("an authtoken that nobody knows may bind everything")
	}
	users, authtokens := identity.Users(), identity.Authtokens()
	for _, tt := range []struct {
		name  string
		write func(tx store.Tx) error
		told  bool
		want  fault.Code
	}{
		{"another description", func(tx store.Tx) error {
			o, err := authtokens.Get(tx, "cr_1")
			if err != nil {
				return err
			}
			o.Doc.Description = "x"
			return authtokens.Put(tx, o)
		}, false, ""},
		{"inactive", func(tx store.Tx) error {
			o, err := users.Get(tx, "usr_1")
			if err != nil {
				return err
			}
			o.Doc.Inactive = true
			return users.Put(tx, o)
		}, true, fault.OwnerInactive},
		{"another text", func(tx store.Tx) error {
			o, err := authtokens.Get(tx, "cr_1")
			if err != nil {
				return err
			}
			o.Doc.Hash = identity.Hash(p.vault, authtoken+"x")
			return authtokens.Put(tx, o)
		}, false, fault.TokenUnknown},
		{"deleted", func(tx store.Tx) error { return authtokens.Delete(tx, "cr_1") }, true, fault.TokenUnknown},
	} {
		revision, err := p.db.Update(t.Context(), tt.write)
		if err != nil {
			t.Fatal(err)
		}
		for changes, err := range p.db.Changes(t.Context(), revision-1) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.db.View(t.Context(), func(tx store.Tx) error { return p.roster.Apply(tx, changes) }); err != nil {
				t.Fatal(err)
			}
			break
		}
		told := false
		select {
		case <-p.roster.Revocations():
			told = true
		default:
		}
		if acl := p.roster.ACL("cr_1"); len(acl) != 1 || (acl[0] == "bind:a.test") != (tt.name != "deleted") {
			t.Errorf("%s: ACL = %q", tt.name, acl) // of a token that is gone: no rule that anything matches, and not none
		}
		_, err = p.roster.Authtoken(t.Context(), authtoken)
		if told != tt.told || tt.want == "" && err != nil || tt.want != "" && !fault.Has(err, tt.want) {
			t.Errorf("%s: got %v, told of a revocation: %v; want %s, %v", tt.name, err, told, tt.want, tt.told)
		}
	}
}

// TestUnknownCredentialWaitsForNews: another process may have made it just now. Only so many wait, and no
// longer than it takes.
func TestUnknownCredentialWaitsForNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.load()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.roster.Authtoken(t.Context(), authtoken); err != nil {
				t.Errorf("a credential that was made meanwhile: %v", err)
			}
		})
		synctest.Wait()
		p.fill()
		p.load()
		wg.Wait()

		start := time.Now()
		for _, text := range []string{"somebody_elses_form_of_a_text", "sk_somebody_elses_form_of_key"} {
			_, token := p.roster.Authtoken(t.Context(), text)
			_, key := p.roster.APIKey(t.Context(), text)
			if !fault.Has(token, fault.TokenUnknown) || !fault.Has(key, fault.APIKeyUnknown) || time.Since(start) != 0 {
				t.Errorf("a text that no process makes: got %v, %v after %s, want refusals at once", token, key, time.Since(start))
			}
		}
		for range 64 {
			wg.Go(func() {
				if _, err := p.roster.APIKey(t.Context(), "cvak_nobody_has_made_this"); !fault.Has(err, fault.APIKeyUnknown) {
					t.Errorf("got %v, want %s", err, fault.APIKeyUnknown)
				}
			})
		}
		synctest.Wait()
		if _, err := p.roster.APIKey(t.Context(), "cvak_nobody_has_made_this"); !fault.Has(err, fault.APIKeyUnknown) || time.Since(start) != 0 {
			t.Errorf("the 65th: got %v after %s, want %s at once", err, time.Since(start), fault.APIKeyUnknown)
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("the others waited %s, want 1s", took)
		}
	})
}
