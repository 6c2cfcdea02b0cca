// Package manual runs the examples of README.md and docs/. It has tests only. In the manual's fenced blocks
//
//   - "yaml config agent" and "yaml config server" are configuration files that the real programs must load;
//   - in "sh" blocks every line that starts one of our programs must have a command and flags that it knows;
//   - "go" blocks that are whole programs must compile.
//
// On the pages of docs/policy, "console" blocks are run and have to show what comes out, and "yaml" blocks are policies
// that have to be sound; the lines of "cel" blocks are held by server/internal/expr. docs/policy/walk.md is run with a
// server and agents: each line of its "sh" blocks is a program that goes on running, "console stop=TEXT" ends the one
// with TEXT in its command line first.
//
// The "console" blocks of docs/api are run against a server, and have to show what comes out but for ids and times.
//
// The tables of settings are held to what the programs' --help lists. Links and the map of the code are held by
// internal/arch.
package manual
