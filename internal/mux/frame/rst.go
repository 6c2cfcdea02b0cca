package frame

import "encoding/binary"

// AppendRST appends a frame that ends both halves of a stream.
func AppendRST(b []byte, stream uint32, code ErrorCode) []byte {
	b = Header{Type: RST, Length: 4, StreamID: stream}.Append(b)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

// ParseRST reads the 4-byte payload of an RST frame.
func ParseRST(payload []byte) ErrorCode {
	return ErrorCode(binary.BigEndian.Uint32(payload))
}
