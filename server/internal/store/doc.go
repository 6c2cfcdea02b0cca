// Package store keeps the resources of a server: documents that survive the process.
//
// A [Record] is one document: JSON with a kind, an id, the account that owns it, and the names that nobody
// else may have ([Key]). About thirty kinds share the same few tables, so that a new one needs no migration.
// [Collection] gives one kind its Go type.
//
// Invariants:
//   - An [Store.Update] is applied whole or not at all, and has been made durable when it returns.
//   - Each applied one has its own [Revision], greater than those before it. A record carries that of its last
//     change, and may only be written by who has seen that one.
//   - [Store.Changes] tells of every change after a revision, in order, or says that it no longer can.
//   - What traffic needs is never read from here: a [Follower] keeps copies of it in memory in step.
//
// A Store is safe for concurrent use. It knows nothing of what documents mean: rules that span them belong to
// package control, which applies them inside of one update.
package store
