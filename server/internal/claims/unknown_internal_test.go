package claims

import (
	"strings"
	"testing"
)

// Secrets that a policy names and nobody has are told, once each, however they are quoted.
func TestUnknownSecrets(t *testing.T) {
	t.Parallel()
	b := &Binder{cfg: Config{KnowsSecret: func(account, vault, name string) (bool, bool) {
		return account == "ac" && vault == "shop", account == "ac" && vault == "shop" && name == "key"
	}}}
	for text, want := range map[string]string{
		`${secrets.get('shop', 'key')}`:                               "",
		`${secrets.get("shop","key")} ${secrets.get(vault, 'x')}`:     "",
		`{"body":"${secrets.get(\"shop\", \"key\")}"}`:                "",
		`${secrets.get('shop','nope')} ${secrets.get('shop','nope')}`: `the vault "shop" has no secret "nope"`,
		`{"body":"${secrets.get(\"no/thing\", \"key\")}"}`:            `the account has no vault "no/thing"`,
	} {
		var got []string
		for _, d := range b.unknownSecrets("ac", text) {
			if got = append(got, d.Message); !d.Warning {
				t.Errorf("%s: a mistake rather than a warning: %v", text, d)
			}
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if found := b.unknownSecrets("other", `${secrets.get('shop', 'key')}`); len(found) != 1 {
		t.Errorf("another account's: %v, want a warning", found)
	}
}
