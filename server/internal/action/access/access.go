package access

import "github.com/culvert-project/culvert/server/internal/policy"

// Definitions returns the actions of this package. Failed passwords are counted
// by client over all policies that are compiled with them.
func Definitions() []policy.Definition {
	return []policy.Definition{basicDefinition(newThrottle()), restrictDefinition()}
}
