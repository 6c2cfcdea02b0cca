package frame

import "encoding/binary"

// AppendWndInc appends a frame that returns n bytes of credit on a stream. n
// must be between 1 and 2^31-1: zero ends the session of some peers
// (agent-protocol.md, hazard H11).
func AppendWndInc(b []byte, stream, n uint32) []byte {
	b = Header{Type: WndInc, Length: 4, StreamID: stream}.Append(b)
	return binary.BigEndian.AppendUint32(b, n)
}

// ParseWndInc reads the 4-byte payload of a WNDINC frame. An increment of zero
// or with the top bit set is an *Error.
func ParseWndInc(payload []byte) (uint32, error) {
	n := binary.BigEndian.Uint32(payload)
	if n == 0 || n > 1<<31-1 {
		return 0, &Error{Code: ProtocolError, Reason: "window increment out of range"}
	}
	return n, nil
}
