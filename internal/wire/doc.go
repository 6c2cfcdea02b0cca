// Package wire is the control protocol between an agent and the server: the
// messages, the header in front of every forwarded connection, the record an
// agent sends instead of a response it cannot get, and [Peer], which carries
// all of it over one multiplexed session.
//
// The bytes are those of the public ngrok agent protocol, so that stock agents
// connect to Culvert and the Culvert agent connects to anything that speaks
// it. Extensions of our own travel only after both sides offered them in
// [Features].
//
// Invariants:
//   - An answer carries every key that the strictest known decoder requires,
//     in exact case and never null; requests are accepted in any case.
//   - A request or an answer is one JSON value. It is decoded as soon as it is
//     complete; nothing waits for the end of the stream, and every answer is
//     followed by the end of the stream.
//   - A stream that is opened here carries its type and all of its header in
//     its first frame.
//   - All sizes, counts and waits that the other side can influence are
//     bounded.
//
// Values of this package are plain data; a [Peer] may be used by several
// goroutines at once.
//
// The package does not decide who may connect or what may be bound, and it
// moves no payload: that is the business of the server's tunnel and control
// packages and of the SDK. It imports the standard library and lower packages
// of this module only, because the SDK imports it.
package wire
