package frame

import (
	"encoding/binary"
	"fmt"
)

// Sizes on the wire.
const (
	// HeaderSize is the length of every frame header.
	HeaderSize = 8
	// MaxLength is the largest payload a header can announce.
	MaxLength = 1<<24 - 1
	// MaxStreamID is the last usable stream id: the top bit is always zero.
	MaxStreamID = 1<<31 - 1
)

// Type tells what a frame is.
type Type uint8

// The frame types. 4 to 15 are unassigned: they are skipped when received and
// never sent (agent-protocol.md, hazard H12).
const (
	RST    Type = 0
	Data   Type = 1
	WndInc Type = 2
	GoAway Type = 3
)

// Flags of a frame; only Data frames carry any.
type Flags uint8

// The flags.
const (
	// FIN half-closes the stream: the sender sends no more data.
	FIN Flags = 1
	// SYN opens the stream: it is the first frame with this id.
	SYN Flags = 2
)

// Header is the first eight bytes of a frame.
type Header struct {
	Type     Type
	Flags    Flags
	Length   uint32 // of the payload, 0 to MaxLength
	StreamID uint32 // 0 for the session itself
}

// ParseHeader reads a header from the first HeaderSize bytes of b.
func ParseHeader(b []byte) Header {
	_ = b[HeaderSize-1]
	return Header{
		Type:     Type(b[3] >> 4),
		Flags:    Flags(b[3] & 0x0f),
		Length:   uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		StreamID: binary.BigEndian.Uint32(b[4:]),
	}
}

// Append appends the header to b.
func (h Header) Append(b []byte) []byte {
	return append(b,
		byte(h.Length>>16), byte(h.Length>>8), byte(h.Length),
		byte(h.Type)<<4|byte(h.Flags),
		byte(h.StreamID>>24), byte(h.StreamID>>16), byte(h.StreamID>>8), byte(h.StreamID),
	)
}

// Check returns the code and reason for which a session has to end when a
// peer sends this header, or nil. Flags and ids of unassigned types are not
// judged.
func (h Header) Check() error {
	switch h.Type {
	case RST, WndInc:
		if h.Length != 4 {
			return &Error{Code: FrameSizeError, Reason: fmt.Sprintf("%v frame of %d bytes, must be 4", h.Type, h.Length)}
		}
	case GoAway:
		if h.Length < 8 {
			return &Error{Code: FrameSizeError, Reason: fmt.Sprintf("GOAWAY frame of %d bytes, must be 8 or more", h.Length)}
		}
		if h.StreamID != 0 {
			return &Error{Code: ProtocolError, Reason: fmt.Sprintf("GOAWAY frame on stream %d", h.StreamID)}
		}
		return nil
	case Data:
	default:
		return nil
	}
	if h.StreamID == 0 || h.StreamID > MaxStreamID {
		return &Error{Code: ProtocolError, Reason: fmt.Sprintf("%v frame on stream id %#x", h.Type, h.StreamID)}
	}
	return nil
}

// String returns the type's name on the wire.
func (t Type) String() string {
	switch t {
	case RST:
		return "RST"
	case Data:
		return "DATA"
	case WndInc:
		return "WNDINC"
	case GoAway:
		return "GOAWAY"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}
