package identity_test

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// A key of the environment has the form that the manual gives, and is not shown when it has not.
func TestBootstrapKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"key_of_twenty_letters", "a-b_0123456789012345", strings.Repeat("k", 254) + "_k"} {
		if err := identity.CheckBootstrapKey(key); err != nil {
			t.Errorf("%s: %v, want it to be accepted", key, err)
		}
	}
	for _, key := range []string{"", "short_key", "nounderscorebutlongenough", "has space_0123456789012", "ünicode_01234567890123", "with.dot_01234567890123", strings.Repeat("k", 255) + "_k"} {
		if err := identity.CheckBootstrapKey(key); !fault.Has(err, fault.BootstrapKeyInvalid) || key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, want %s without the key", key, err, fault.BootstrapKeyInvalid)
		}
	}
}
