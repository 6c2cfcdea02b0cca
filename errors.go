package culvert

import (
	"errors"

	"github.com/culvert-project/culvert/internal/fault"
)

// Error is an error with a code, such as "ERR_NGROK_334" or
// "ERR_CULVERT_1210". All refusals of the server are of this kind, and so are
// the agent's own errors that a person can do something about. Find it with
// errors.As.
type Error interface {
	error
	// Code returns the code. The documentation lists what each one means.
	Code() string
}

// codedError is a fault as the public interface.
type codedError struct {
	err   error
	fault *fault.Error
}

// coded gives err the public interface if there is a fault in its chain, and
// returns it as it is otherwise.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var already *codedError
	if errors.As(err, &already) {
		return err
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return &codedError{err: err, fault: f}
}

// Error returns the message and the code on one line.
func (e *codedError) Error() string { return e.err.Error() }

// Code implements Error.
func (e *codedError) Code() string { return string(e.fault.Code) }

// Message returns the cause without code and remedy.
func (e *codedError) Message() string { return e.fault.Message }

// Remedy returns the next step, if one is known.
func (e *codedError) Remedy() string { return e.fault.Remedy }

// Unwrap returns the error below, through which internal packages find the
// fault.
func (e *codedError) Unwrap() error { return e.err }

// finalRefusal reports whether the server's answer will not change by asking
// again: the token, the account, its number of agents or the version is refused
// (agent.md 10.6).
func finalRefusal(err error) bool {
	var f *fault.Error
	if !errors.As(err, &f) {
		return false
	}
	switch f.Code {
	case fault.TokenMalformed, fault.TokenUnknown, fault.SourceRefused, fault.TokenSourceRefused,
		fault.VersionUnsupported, fault.AgentTooOld, fault.TokenRevoked,
		fault.TokenMissing, fault.TokenIsAPIKey, fault.AuthIncomplete, fault.AgentsTooMany, fault.IngressForeign:
		return true
	default:
		return false
	}
}
