package mux

import (
	"errors"
	"fmt"
	"net"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

// Errors of calls that are refused without anything having been sent.
var (
	// ErrSessionClosed is the cause of a session that was closed on our side
	// with Close.
	ErrSessionClosed = errors.New("session closed")
	// ErrStreamsExhausted says that all stream ids of the session are used.
	ErrStreamsExhausted = errors.New("stream ids exhausted")
	// ErrBusy says that the peer had no room for another stream in time.
	ErrBusy = errors.New("too many open streams")
)

// StreamError says that a stream was reset. It unwraps to net.ErrClosed when
// the reset came from our side.
type StreamError struct {
	Code   frame.ErrorCode
	Remote bool // the peer sent it
}

// Error names the side and the code.
func (e *StreamError) Error() string {
	if e.Remote {
		return fmt.Sprintf("stream reset by peer: %s", e.Code)
	}
	return fmt.Sprintf("stream reset: %s", e.Code)
}

// Unwrap returns net.ErrClosed for a reset of our own.
func (e *StreamError) Unwrap() error {
	if e.Remote {
		return nil
	}
	return net.ErrClosed
}

// SessionError is the cause with which a session ended.
type SessionError struct {
	Code   frame.ErrorCode
	Remote bool  // the peer ended it
	Cause  error // never nil
}

// Error names the side, the code and the cause.
func (e *SessionError) Error() string {
	side := "session ended"
	if e.Remote {
		side = "session ended by peer"
	}
	if e.Code == frame.NoError {
		return fmt.Sprintf("%s: %v", side, e.Cause)
	}
	return fmt.Sprintf("%s: %s: %v", side, e.Code, e.Cause)
}

// lost reports whether nobody listens any more on the other side.
func (e *SessionError) lost() bool {
	return e.Remote || e.Code == frame.PeerEOF || e.Code == frame.WriteTimeout
}

// Unwrap returns the cause and net.ErrClosed, so that ordinary network code
// sees a closed connection.
func (e *SessionError) Unwrap() []error { return []error{e.Cause, net.ErrClosed} }

// timeoutError is what an expired deadline returns; it is a net.Error and
// unwraps to os.ErrDeadlineExceeded through errDeadline.
type timeoutError struct{ error }

func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
func (e timeoutError) Unwrap() error { return e.error }
