package identity

import (
	"crypto/rand"
	"encoding/base32"
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

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken returns a token of 160 random bits.
func newToken() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return authtokenPrefix + lower.EncodeToString(b[:])
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
