// Package standard lists the actions of Traffic Policy: those of all families
// below server/internal/action, and those that are known and not built yet
// (decision 40), in the order of the manual.
//
// It is the one place where families meet. It has no behaviour and no state of
// its own; what actions need of the server comes with [Services].
package standard
