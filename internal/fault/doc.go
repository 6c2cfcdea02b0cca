// Package fault holds the catalogue of coded errors and the one error type that a person can see.
//
// Every entry of the catalogue has a code, an HTTP status, a short title, a message that names the
// cause and a remedy that names the next step. Codes that published clients match on keep the number
// they know ("ERR_NGROK_334"); codes of our own are spelled "ERR_CULVERT_<n>" and never reuse such a
// number:
//
//	ERR_CULVERT_1000-1099  the server: start-up, settings, data directory
//	ERR_CULVERT_1100-1199  what is known but not built yet
//	ERR_CULVERT_1200-1299  the agent: command line, configuration file, connection to the server
//	ERR_CULVERT_1300-1399  HTTP requests that the edge refuses
//	ERR_CULVERT_1400-1499  endpoints that cannot be bound
//
// Invariants: the catalogue never changes at run time; docs/errors.md is its printed form and a test
// holds the two equal (go test ./internal/fault -update rewrites the page). Text given as an argument
// may come from a stranger: it is stripped of control characters and cut to a bounded length, so that
// no argument can break a line, a log record or the wire form of an error.
//
// Everything here is safe for concurrent use. The package imports the standard library only.
//
// It is not for errors that only code tells apart: those are sentinels and types of their packages,
// wrapped with an operation prefix.
package fault
