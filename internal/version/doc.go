// Package version tells which version of Culvert a program or library was
// built from: all modules share one number. It reads what the compiler notes in
// every binary, holds no state, and is not for comparing versions.
package version
