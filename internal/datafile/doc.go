// Package datafile writes and reads the small files that programs keep between
// runs: keys, tokens, certificates, settings.
//
// Purpose. Such a file must never be seen half written, secrets in it must not
// be readable by others, and two processes must not change it at once.
//
// Invariants. Write and Create put the whole content in place or nothing, also
// when the machine loses power. A new file has mode 0600 until its content is
// complete.
//
// Concurrency. All functions may be called by any number of goroutines and
// processes; the last writer wins unless TryLock orders them.
//
// Not for large files, nor for any that are read on the path of traffic.
package datafile
