// Package config turns what a user wrote, in files, environment variables and
// flags, into settings that the agent can run with (reference: agent,
// sections 2 and 4).
//
// Three shapes of the same thing exist, each with one purpose. File types
// (Agent, Endpoint, Tunnel) mirror the keys of the YAML file, version 3 and 2.
// A Definition is one endpoint in words, whether it came from an endpoints
// entry, a tunnels entry or the flags of a command. Settings and Spec are
// compiled: parsed, checked, with certificates loaded.
//
// Invariants: nothing is started and nothing but files is read here; every
// mistake is found before anything runs, and all mistakes of a file are reported
// together, each with its line; an option whose effect would protect something
// and that is not built yet is refused, never ignored. Values win in the order
// flag, environment, later file, earlier file, default.
//
// The file is edited as text, so comments, order and layout survive.
//
// Concurrency: the functions keep no state; the values they return are not
// changed afterwards.
//
// The package does not read the process's environment: callers pass a function
// that looks variables up.
package config
