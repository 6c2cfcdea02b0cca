// Package agent runs the agent's program: it opens one session with the server
// through the SDK, starts the endpoints that it is given, and tells what
// happens as log lines, as lines of JSON and as a status view.
//
// The work is divided by package: config says what to run, target and
// fileserver what lies behind an endpoint, logs, console and stats what is
// shown, diagnose what stands in the way. This package joins them; Run is its
// whole life.
//
// Invariants: all endpoints share one session; at start an endpoint that cannot
// be bound ends the run, and the others with it, unless KeepGoing is set; an
// upstream that is down ends nothing; when Run returns, no goroutine of the run
// is left and the terminal is as it was. Every event is shown by one goroutine,
// so lines never overtake each other.
//
// Concurrency: a Config is used by one Run. Run may be called again with
// another Config.
//
// The package reads no flags, no environment and no files of settings, and it
// never ends the process.
package agent
