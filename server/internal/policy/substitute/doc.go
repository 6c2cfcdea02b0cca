// Package substitute finds and replaces by regular expressions: in texts and
// bodies, and in the URL of a request (traffic-policy.md 6.18, 6.20, 6.27).
// Results are bounded in size, whatever a pattern and its replacement are.
package substitute
