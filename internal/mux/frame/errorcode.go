package frame

import "fmt"

// ErrorCode says why a stream was reset or a session went away
// (agent-protocol.md 3). Peers may send any 32-bit value.
type ErrorCode uint32

// The codes with a meaning.
const (
	NoError            ErrorCode = 0
	ProtocolError      ErrorCode = 1
	InternalError      ErrorCode = 2
	FlowControlError   ErrorCode = 3
	StreamClosed       ErrorCode = 4
	StreamRefused      ErrorCode = 5
	StreamCancelled    ErrorCode = 6
	StreamReset        ErrorCode = 7
	FrameSizeError     ErrorCode = 8
	AcceptQueueFull    ErrorCode = 9
	EnhanceYourCalm    ErrorCode = 10
	RemoteGoneAway     ErrorCode = 11
	StreamsExhausted   ErrorCode = 12
	WriteTimeout       ErrorCode = 13
	SessionClosed      ErrorCode = 14
	PeerEOF            ErrorCode = 15
	unknownCodeMuxado  ErrorCode = 255
	unknownCodeRust    ErrorCode = 1<<32 - 1
	lastNamedErrorCode           = PeerEOF
)

var errorNames = [...]string{
	"no error", "protocol error", "internal error", "flow control error",
	"stream closed", "stream refused", "stream cancelled", "stream reset",
	"frame size error", "accept queue full", "enhance your calm",
	"remote gone away", "streams exhausted", "write timeout",
	"session closed", "peer EOF",
}

// String returns the code's meaning in words.
func (c ErrorCode) String() string {
	switch {
	case c <= lastNamedErrorCode:
		return errorNames[c]
	case c == unknownCodeMuxado || c == unknownCodeRust:
		return "unknown error"
	}
	return fmt.Sprintf("error code %d", uint32(c))
}

// Error is a frame that ends the session.
type Error struct {
	Code   ErrorCode
	Reason string
}

// Error returns the reason with the code.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Reason) }
