// Package h1 speaks HTTP/1.1 on both sides of the edge: a lean client for one
// connection at a time, over a multiplexed stream to the service behind an
// agent, and a Server for the ordinary requests of public connections.
//
// The client exists beside net/http's Transport because the edge already has a
// goroutine per exchange that can read the stream itself. A request head is
// built in a pooled buffer and leaves in one Write together with a small body;
// the response head is parsed in place, and the body goes from the connection
// straight into the caller's buffer. No goroutine runs for a request without
// a large body.
//
// Invariants:
//
//   - The parser is strict where two readings of the same bytes would differ
//     (RFC 9112): conflicting lengths, malformed chunks, white space before a
//     colon, bare CR, folded first lines. Such a response is an *Error of kind
//     Protocol, never a guess.
//   - A connection is reusable only when the response ended by its framing,
//     nothing is left over, the request was sent completely, and neither side
//     asked to close. One that saw anything else is never used again.
//   - What a stranger's service can make us hold is bounded by Config.
//   - Nothing is invented: no User-Agent, no Accept-Encoding, no Date. Framing
//     fields belong to this package, all others to the caller.
//
// Concurrency: a Conn serves one exchange at a time. RoundTrip, reading the
// response body and closing it belong to one goroutine; Abort may be called
// from any. A request body that does not fit the first Write is sent by a
// second goroutine, which ends before Body.Close or a failed RoundTrip returns.
//
// The Server takes a request only if it is spelt to the letter, and leaves all
// others, with their connections, to net/http: whatever it takes means the same
// to both. It allocates little, leaves a response in one Write where it fits,
// and watches for a client's end only while an exchange lasts.
//
// The client is not a pool, follows no redirects, keeps no cookies, retries nothing
// and decodes no content coding.
package h1
