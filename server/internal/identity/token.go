package identity

import (
	"crypto/rand"
	"encoding/base32"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Kinds of credentials, told apart by their prefix so that leaked ones can be searched for.
const (
	authtokenPrefix = "cvat_"
	apiKeyPrefix    = "cvak_"
)

// Bounds of a credential's length in bytes (decisions.md 54).
const (
	minToken = 20
	maxToken = 256
)

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken returns a token of 160 random bits.
func newToken() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return authtokenPrefix + lower.EncodeToString(b[:])
}

// wellFormed reports whether text could be a token of ours: 20 to 256 of [A-Za-z0-9_-] with an underscore
// inside.
func wellFormed(text string) bool {
	if len(text) < minToken || len(text) > maxToken {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return strings.Contains(text[1:len(text)-1], "_")
}

// refusal says why a credential that is not known is refused.
func refusal(token string) *fault.Error {
	switch {
	case token == "":
		return fault.New(fault.TokenMissing)
	case strings.HasPrefix(token, apiKeyPrefix):
		return fault.New(fault.TokenIsAPIKey, vault.Mask(token))
	case !wellFormed(token):
		return fault.New(fault.TokenMalformed, vault.Mask(token), len(token))
	}
	return fault.New(fault.TokenUnknown, vault.Mask(token))
}
