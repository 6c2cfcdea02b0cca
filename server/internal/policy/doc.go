// Package policy is Traffic Policy: documents, their compiler and the engine
// that runs them (traffic-policy.md 1 to 5).
//
// [Parse] turns YAML or JSON into a [Document] with the position of every part.
// A [Compiler] checks a document against the [Registry] of actions for one
// kind of endpoint and makes a [Program], which is immutable and shared by all
// traffic of the endpoints that have the same document. Running a program over
// an [Exchange] decides, phase by phase, what becomes of one connection or
// request; an Exchange belongs to one goroutine.
//
// What is wrong with a document is found here and never at traffic time, all
// of it at once, as [Diagnostics] with file, line, column and code.
//
// The package knows no action: actions stand in the families below
// server/internal/action and are described by a [Definition]. It does no
// network I/O and knows neither listeners nor tunnels.
package policy
