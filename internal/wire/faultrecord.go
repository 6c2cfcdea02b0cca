package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
)

// MaxFaultRecord is the largest fault record, in bytes with its start.
const MaxFaultRecord = 4 << 10

// faultMagic begins a fault record. No HTTP response, HTTP/2 frame of a server
// or TLS record begins so.
const faultMagic = "\x00CVF"

// faultStart is the number of bytes ahead of the JSON text.
const faultStart = len(faultMagic) + 4

// Errors of [ParseFault].
var (
	// ErrNeedMore says that the record is not complete yet.
	ErrNeedMore = errors.New("fault record is not complete")
	// ErrNotFault says that the bytes are not a fault record.
	ErrNotFault = errors.New("not a fault record")
)

// faultRecord is what travels.
type faultRecord struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// AppendFault appends the record that an agent sends instead of a response
// when it cannot reach its upstream: a start that no response can have, the
// length of the rest as four bytes, most significant first, and JSON. It may
// be sent only after both sides agreed on Features.FaultRecord, only on http
// and https endpoints, only as the first bytes of a stream, and the end of the
// stream follows. Long texts are cut so that the record stays within
// [MaxFaultRecord].
func AppendFault(b []byte, f *fault.Error) []byte {
	for limit := MaxFaultRecord; ; limit /= 2 {
		text, err := json.Marshal(faultRecord{
			Code: string(f.Code), Message: cut(f.Message, limit), Remedy: cut(f.Remedy, limit),
		})
		if err != nil { // strings always encode
			return b
		}
		if faultStart+len(text) > MaxFaultRecord {
			continue
		}
		b = append(b, faultMagic...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(text))) //nolint:gosec // at most MaxFaultRecord
		return append(b, text...)
	}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// ParseFault reads a fault record from the start of b and returns the fault
// and the number of bytes it takes. It returns [ErrNeedMore] if b can still
// become a record, and [ErrNotFault] if it cannot: ordinary bytes are then to
// be used as they are. Title and status come from the catalogue; a code that
// is not in it gives a malformed record. The texts are the agent's words: they
// are to be escaped where they are shown.
func ParseFault(b []byte) (*fault.Error, int, error) {
	n := min(len(b), len(faultMagic))
	if string(b[:n]) != faultMagic[:n] {
		return nil, 0, ErrNotFault
	}
	if len(b) < faultStart {
		return nil, 0, ErrNeedMore
	}
	size := int64(binary.BigEndian.Uint32(b[len(faultMagic):]))
	if size > int64(MaxFaultRecord-faultStart) {
		return nil, 0, fmt.Errorf("malformed fault record: length %d", size)
	}
	end := faultStart + int(size)
	if len(b) < end {
		return nil, 0, ErrNeedMore
	}
	var r faultRecord
	if err := json.Unmarshal(b[faultStart:end], &r); err != nil {
		return nil, 0, fmt.Errorf("malformed fault record: %w", err)
	}
	e, ok := fault.Lookup(fault.Code(r.Code))
	if !ok {
		return nil, 0, fmt.Errorf("malformed fault record: unknown code %.40q", r.Code)
	}
	f := &fault.Error{Code: e.Code, Status: e.Status, Title: e.Title, Message: r.Message, Remedy: r.Remedy}
	if f.Message == "" {
		f.Message = e.Title
	}
	return f, end, nil
}
