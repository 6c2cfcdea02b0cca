// Package mux carries many streams over one connection: both roles of the
// public agent protocol's multiplexer (agent-protocol.md 3), with the write,
// read and credit designs that the fast path needs.
//
// # Design
//
// Output is one buffer for each session. Whoever appends a frame while nobody
// flushes becomes the flusher; when the last flush carried frames of several
// streams it yields once first, so that other runnable writers join the same
// system call. It never waits for the transport: what that does not take at
// once is left to a goroutine, which goes on until the buffer is empty. Writers
// that find the buffer full wait in a queue; while several streams are active
// each may add one frame to a flush, and short writes go first. WNDINC frames
// travel ahead of data.
//
// Input is read by Run alone. Payload goes from the read buffer straight into
// the buffer of a goroutine blocked in Stream.Read, or into the socket of a
// spliced connection by a write that does not wait; only what finds no taker is
// copied and queued. The reader never waits for anything but the transport.
//
// # Invariants
//
//   - A stream's SYN frame carries its head, and leaves with the first data or
//     at the latest when somebody waits for the stream.
//   - No stream id is used twice, no frame follows a GOAWAY, and nothing is
//     sent on a stream after its RST.
//   - Credit is returned only for bytes that left our memory, at half a window,
//     so that unread data is bounded by window times streams, by
//     Config.MaxUnread for the session and by a Budget for the process. While
//     memory is short, streams with slow readers get less.
//   - Only Write waits for credit and room; nothing waits for the transport.
//   - A session ends with one cause, which every later call returns.
//
// # Concurrency
//
// All methods may be called from any goroutine. Locks, in the order in which
// they may nest: output.mu, then Session.mu; the two locks of a stream are
// leaves. New starts nothing; Run waits for every goroutine it has started.
package mux
