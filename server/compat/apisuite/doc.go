// Package apisuite judges the REST API by the official Go clients of the service Culvert is compatible with. A major
// of that client is a [Client]: its packages, and its own helpers for errors. The suite calls their methods by
// reflection, so that one table of resources (rows.go) serves every major, and looks at what they decode.
//
// Meanwhile it reads along: each answer on the wire is held to what api.md says of all of them (judge.go).
//
// What a client does is not ours to argue with; where it and the server disagree, the server is wrong.
package apisuite
