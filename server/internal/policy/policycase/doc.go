// Package policycase runs cases of Traffic Policy that are written as text: a
// policy, requests, the upstream's responses, and what has to come out.
//
// A case is a txtar archive, or a directory in one: the files of the archive's
// root are shared by all of its directories.
//
//	policy.yml     the policy, or policy.json
//	endpoint       the endpoint's URL, followed by "cloud" or "internal" if it
//	               is one of these; default https://h.example
//	client         the client's address; default 203.0.113.7:4711
//	request        an HTTP request as text: request line, fields, an empty
//	               line and the body; more in request.2, request.3 and so on
//	upstream       the response of the upstream, written the same way; more in
//	               upstream.2 and so on; default 200 and "hello"
//	want           what came out, written by whoever runs the case
//
// The last newline of a body is not part of it. A body without Content-Length
// has one, unless its head says Transfer-Encoding: chunked; the text is then
// the content, without chunks.
//
// Want holds the diagnostics of the policy and, for each request, the request
// as the upstream got it, the answer with its origin, and the results and log
// entries that the actions have left. All requests come over one connection,
// and the clock stands still unless the runner has one.
package policycase
