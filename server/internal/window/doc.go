// Package window counts what happened under a key within the last while.
//
// A [Table] holds one sliding window per key, in slots of [Slot] of which only
// those that counted something take memory. Its keys are 128-bit hashes under
// seeds of the process, which nobody outside can make collide. The number of
// keys and the memory of their slots are bounded; the keys that were not asked
// for longest go first. Time is the monotonic clock: a step of the wall clock
// changes nothing.
//
// A Table may be used by many goroutines; it is divided into shards with a lock
// each. Counts live in memory and are lost with the process.
package window
