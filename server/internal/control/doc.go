// Package control holds the rules of the control plane: what each resource of the API may be, who may change it, and what
// follows from a change.
//
// A [Resource] creates, reads, changes and deletes the objects of one kind. Each write is one update of the store: the
// object is judged by what the update sees, stored together with its entry in the audit trail, and answered once it is in
// force. What was claimed for it is given back if it is not stored.
//
// [Names] is the copy in memory of whose a public name is, and [Gate] knows who may connect or call the API. They follow
// the store and are never waited for.
//
// The places of endpoints, stored ones and those of agents, are given by package claims. What traffic asks for by account,
// IP rules and secrets, is kept by package lookups.
package control
