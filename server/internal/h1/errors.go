package h1

import (
	"errors"
	"fmt"
)

// Kind tells the ways in which an exchange fails.
type Kind uint8

const (
	// Protocol: the peer sent bytes that are not a valid HTTP/1 response, or
	// exceeded a limit.
	Protocol Kind = iota + 1
	// Closed: the connection ended before the first byte of a response. The
	// request may be sent again elsewhere if the caller can repeat it.
	Closed
	// Truncated: the connection ended inside a response.
	Truncated
	// Timeout: no byte moved in either direction for Config.Idle.
	Timeout
	// RequestBody: reading the request body failed, or it was shorter than
	// announced. The fault is the client's.
	RequestBody
	// Canceled: the context of the exchange ended.
	Canceled
	// Invalid: the request cannot be written as HTTP/1.1, for example because
	// a header value contains a line break. Nothing was sent.
	Invalid
)

// String returns the kind's name for logs.
func (k Kind) String() string {
	switch k {
	case Protocol:
		return "protocol"
	case Closed:
		return "closed"
	case Truncated:
		return "truncated"
	case Timeout:
		return "timeout"
	case RequestBody:
		return "request body"
	case Canceled:
		return "canceled"
	case Invalid:
		return "invalid request"
	}
	return "unknown"
}

// Error is the error of a failed exchange. Err is the cause and may be a
// transport error or one returned by a hook of Config.
type Error struct {
	Kind Kind
	Err  error
}

// Error describes the failure in one line.
func (e *Error) Error() string { return fmt.Sprintf("http/1 %s: %v", e.Kind, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the *Error in err's chain, or 0.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// ErrBusy is returned by RoundTrip on a connection that is not Reusable.
var ErrBusy = errors.New("http/1 connection is in use or no longer usable")

func protocolError(format string, args ...any) *Error {
	return &Error{Kind: Protocol, Err: fmt.Errorf(format, args...)}
}
