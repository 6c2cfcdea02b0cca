//go:build race

package e2e

// raceEnabled has the programs built with the race detector too.
const raceEnabled = true
