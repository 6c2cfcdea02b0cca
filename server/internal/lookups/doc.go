// Package lookups is the copy in memory of what traffic asks for by account: IP policies, IP restrictions and vault
// secrets. It follows the store, and is asked for every connection, so nothing here waits.
//
// What cannot be read keeps people out rather than letting them in: a policy with an unreadable rule admits nobody, and an
// unreadable restriction refuses everybody where it applied, or everywhere if that is not known. A secret is opened once,
// and again when its envelope changes.
//
// The documents are defined here, as what is read; the rules by which they are made and changed belong to package control.
package lookups
