//go:build race

package sqlstore_test

// sparse is how many cases a long series of like ones leaves out between two: with the race detector SQLite is some
// twenty times slower, and it finds nothing in one case that it does not find in the next one.
const sparse = 9
