package identity

import (
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
)

// keyRefusal says why a text that is not a known API key is refused. The text never stands in it whole.
func keyRefusal(text string) *fault.Error {
	switch prefix, _, _ := strings.Cut(text, "_"); {
	case strings.HasPrefix(text, authtokenPrefix):
		return fault.New(fault.AuthtokenAsKey, masked(text))
	case id.IsSorted(prefix, text):
		return fault.New(fault.KeyIDAsKey, masked(text))
	case keyFlaw(text) != "":
		return fault.New(fault.APIKeyMalformed, masked(text), keyFlaw(text))
	}
	return fault.New(fault.APIKeyUnknown, masked(text))
}

// masked shows the first four characters of a credential (api.md 1.7), and nothing of a text too short to
// hide the rest.
func masked(text string) string {
	const shown, least = 4, 12
	if len(text) < least {
		return "***"
	}
	return strings.ToValidUTF8(text[:shown], "") + "***"
}
