// Package rpc names the commands that a server may send to an agent.
//
// Purpose. It is what a handler registered with culvert.WithRPCHandler needs
// to tell commands apart, under the same names as in the ngrok SDK.
//
// Invariants. Method names are permanent. Concurrency: it holds values only.
//
// Not for sending commands: that is the server's side.
package rpc
