package frame

// MaxSend is the largest payload we put into one DATA frame. Larger frames
// stall the other streams of a session (agent-protocol.md, hazard H18); 64 KiB
// gave nothing over 32 KiB. With its header the frame fills two records of TLS.
const MaxSend = 32<<10 - HeaderSize

// AppendData appends the header and payload of a DATA frame. The payload may
// be empty when a flag is set, and must not exceed MaxSend.
func AppendData(b []byte, stream uint32, flags Flags, payload []byte) []byte {
	b = Header{Type: Data, Flags: flags, Length: uint32(len(payload)), StreamID: stream}.Append(b) //nolint:gosec // at most MaxSend
	return append(b, payload...)
}
