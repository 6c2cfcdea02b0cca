package note

import "github.com/culvert-project/culvert/server/internal/policy"

// Definitions returns the actions of this package.
func Definitions() []policy.Definition {
	return []policy.Definition{logDefinition(), setVarsDefinition()}
}
