package frame

import "encoding/binary"

// GoAwayMessage is the payload of a GOAWAY frame.
type GoAwayMessage struct {
	LastStream uint32    // highest stream id of the receiver that was handled
	Code       ErrorCode // NoError for an orderly end
	Debug      string    // text for people
}

// maxDebug bounds the text kept of a peer's GOAWAY.
const maxDebug = 1 << 10

// AppendGoAway appends a GOAWAY frame. It must be the last frame of a session:
// some peers misread whatever follows (agent-protocol.md, hazard H8). Texts
// over 1 KiB are cut.
func AppendGoAway(b []byte, m GoAwayMessage) []byte {
	debug := m.Debug[:min(len(m.Debug), maxDebug)]
	b = Header{Type: GoAway, Length: uint32(8 + len(debug))}.Append(b) //nolint:gosec // bounded by maxDebug
	b = binary.BigEndian.AppendUint32(b, m.LastStream)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Code))
	return append(b, debug...)
}

// ParseGoAway reads a payload of at least 8 bytes; longer texts than 1 KiB
// are cut.
func ParseGoAway(payload []byte) GoAwayMessage {
	debug := payload[8:]
	return GoAwayMessage{
		LastStream: binary.BigEndian.Uint32(payload) &^ (1 << 31),
		Code:       ErrorCode(binary.BigEndian.Uint32(payload[4:])),
		Debug:      string(debug[:min(len(debug), maxDebug)]),
	}
}
