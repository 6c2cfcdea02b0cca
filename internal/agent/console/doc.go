// Package console draws the agent's status view on a terminal (reference:
// agent, section 7.1).
//
// A State is a plain value; Render turns it into lines of text and does nothing
// else, so the whole view is tested without a terminal. A Screen puts the lines
// on the terminal and leaves it as it was.
//
// Invariants: no line is wider than the terminal and there are no more lines
// than it has; text from elsewhere (banners, URLs, paths) cannot contain control
// characters once rendered, so nobody can move the cursor from afar.
//
// Concurrency: Render is pure. A Screen may be drawn on and closed from any
// goroutine; draws after Close do nothing.
//
// The package reads no keys and knows nothing about sessions: the agent tells
// it what to show.
package console
