// Package expr is the expression language of Traffic Policy: the Common
// Expression Language with the variables, functions and macros of the policy
// reference (traffic-policy.md 5 and 7 to 9).
//
// An [Env] knows the variables of each [Scope] and compiles text into a [Bool],
// a [Value] or a [Template], which are immutable and may be evaluated by many
// goroutines at once, each over its own [Frame]. A Frame looks a variable up in
// its [Source] only when an expression asks for it, and is owned by one
// goroutine.
//
// The variables and functions stand in one table each, from which the manual's
// pages are made. This package is the only one that imports the CEL library. It
// knows nothing of requests, policies or actions.
package expr
