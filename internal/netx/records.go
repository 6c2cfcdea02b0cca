package netx

import "encoding/binary"

const (
	// recordHeader is the length of a TLS record's header: type, version and
	// the length of what follows (RFC 8446 5.1).
	recordHeader = 5
	// dataRecord is the least length of a record that is taken for data. Short
	// ones may be messages of TLS itself, behind which a Read waits for more.
	dataRecord = 1 << 10
)

// records follows the boundaries of TLS records in what a Batch hands out, so
// that TLS gets one record at a time and the Batch knows what is left. In a
// stream that is not TLS it finds boundaries at random, which does no harm.
type records struct {
	header [recordHeader]byte
	have   int // bytes of header
	left   int // bytes of the record under way, once its header is complete
}

// within returns how many of the next bytes belong to the record under way.
func (t *records) within(next []byte) int {
	switch {
	case t.left > 0:
		return min(len(next), t.left)
	case t.have == 0 && len(next) >= recordHeader:
		return min(len(next), recordLength(next))
	}
	return min(len(next), recordHeader-t.have)
}

// pass notes that p, which lies within the record, was handed out.
func (t *records) pass(p []byte) {
	if t.left > 0 {
		t.left -= len(p)
		return
	}
	n := copy(t.header[t.have:], p)
	if t.have += n; t.have < recordHeader {
		return
	}
	t.have = 0
	t.left = recordLength(t.header[:]) - recordHeader - (len(p) - n)
}

// complete reports whether the next bytes are a whole record of data.
func (t *records) complete(next []byte) bool {
	if t.left > 0 || t.have > 0 || len(next) < dataRecord {
		return false
	}
	n := recordLength(next)
	return n >= dataRecord && n <= len(next)
}

func recordLength(header []byte) int {
	return recordHeader + int(binary.BigEndian.Uint16(header[3:]))
}
