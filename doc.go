// Package culvert puts an application on the network through a Culvert server:
// a listener or a forwarder whose public end is at the server, with no port
// open on the application's own machine.
//
//	ln, err := culvert.Listen(ctx, culvert.WithURL("https://app.example.com"))
//	…
//	http.Serve(ln, handler)
//
// Names and method sets are those of the ngrok SDK for Go, version 2, so that
// an application moves over by changing the import path and the connect URL.
// What Culvert adds has a name of its own: [WithCAFingerprint],
// [WithDrainTimeout], [WithUpstreamHostHeader], [WithHTTPRequestEvents], the events from
// [EventTypeAgentStateChanged] on, and the interfaces [AgentStatus] and
// [EndpointStatus].
//
// # Behaviour
//
//   - An [Agent] holds one session with its server, over one TLS connection
//     or, with [WithMultiLeg], several. When a connection is lost it is opened
//     again with growing delays, and every endpoint keeps its URL. An endpoint
//     that the server then refuses is marked as failed and tried again on its
//     own, while the others serve.
//   - The context given to [Agent.Connect], directly or through the first
//     Listen or Forward, ends the session when it ends: new connections are no
//     longer taken, open ones get the drain time to finish. [Agent.Disconnect]
//     ends at once.
//   - The context given to [Agent.Forward] ends that endpoint in the same way.
//     The context given to [Agent.Listen] bounds that call only.
//   - Errors that the server or the agent explains have a code; see [Error].
//
// # Invariants and concurrency
//
// All methods may be called from several goroutines. No goroutine is left when
// Disconnect has returned. The package and all that it imports use the
// standard library only.
//
// It is not for running a server, and it has no command line or configuration
// file: the environment is read by the package-level functions alone.
package culvert
