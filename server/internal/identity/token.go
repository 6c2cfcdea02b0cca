package identity

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Kinds of credentials, told apart by their prefix so that leaked ones can be searched for.
const (
	authtokenPrefix = "cvat_"
	apiKeyPrefix    = "cvak_"
)

const (
	// macPurpose separates hashes of credentials from all other keyed hashes.
	macPurpose = "credential"
	// checkPurpose is for what tells whether the keys are still those that the hashes were made with.
	checkPurpose = "credential file"
	// shownPrefix is how much of a generated text is kept in the clear, to tell credentials apart.
	shownPrefix = 8
)

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewAuthtoken returns the text of an authtoken: 160 random bits.
func NewAuthtoken() string { return authtokenPrefix + random() }

// NewAPIKey returns the text of an API key: 160 random bits.
func NewAPIKey() string { return apiKeyPrefix + random() }

func random() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return lower.EncodeToString(b[:])
}

// Shown returns the part of a generated text that is kept in the clear, to tell credentials apart.
func Shown(text string) string { return text[:shownPrefix] }

// Hash returns the keyed hash under which a credential is stored and found (reliability-security.md 10, K1).
// Comparing hashes tells nothing of the texts, however long it takes.
func Hash(v *vault.Vault, text string) string {
	return base64.RawURLEncoding.EncodeToString(v.MAC(macPurpose, []byte(text)))
}

// KeyCheck is stored beside the hashes. It says nothing about the keys but whether they are the same.
func KeyCheck(v *vault.Vault) string {
	return base64.RawURLEncoding.EncodeToString(v.MAC(checkPurpose, nil))
}

// CheckBootstrap judges a token given by the environment: any text of at least 20 characters and at most 256
// bytes. Otherwise the error is fault.BootstrapTokenInvalid.
func CheckBootstrap(token string) error {
	if n := utf8.RuneCountInString(token); n < id.MinToken {
		return fault.New(fault.BootstrapTokenInvalid, n)
	}
	if n := len(token); n > id.MaxToken {
		return fault.New(fault.BootstrapTokenInvalid, n)
	}
	return nil
}

// CheckBootstrapKey judges an API key given by the environment: 20 to 256 of [A-Za-z0-9_-], with a _ inside.
// Otherwise the error is fault.BootstrapKeyInvalid; it does not show the key.
func CheckBootstrapKey(key string) error {
	if why := keyFlaw(key); why != "" {
		return fault.New(fault.BootstrapKeyInvalid, why)
	}
	return nil
}

// keyFlaw says what keeps text from being an API key, as flaw does.
func keyFlaw(text string) string {
	if why := flaw(text); why != "" {
		return why
	}
	if !strings.Contains(strings.Trim(text, "_"), "_") {
		return "it has no _ between its parts"
	}
	return ""
}

// flaw says what keeps text from being a token of ours: 20 to 256 of [A-Za-z0-9_-]. It is empty for text that
// could be one.
func flaw(text string) string {
	if why := id.TokenFlaw(text); why != "" {
		return why
	}
	odd := strings.IndexFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
	if odd >= 0 {
		r, _ := utf8.DecodeRuneInString(text[odd:])
		return fmt.Sprintf("it has %q in it, and a token has letters, digits, - and _", r)
	}
	return ""
}

// refusal says why a credential that is not known is refused.
func refusal(token string) *fault.Error {
	switch {
	case token == "":
		return fault.New(fault.TokenMissing)
	case strings.HasPrefix(token, apiKeyPrefix):
		return fault.New(fault.TokenIsAPIKey, vault.Mask(token))
	}
	if why := flaw(token); why != "" {
		return fault.New(fault.TokenMalformed, vault.Mask(token), why)
	}
	return fault.New(fault.TokenUnknown, vault.Mask(token))
}
