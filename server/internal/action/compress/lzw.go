package compress

import "io"

// The format of the Unix program compress: codes of 9 to 16 bits, the low bits
// first, in groups of eight codes. A change of width and the clear code begin a
// new group.
const (
	minBits   = 9
	maxBits   = 16
	clearCode = 256
	firstCode = 257
)

// lzw writes that format. The zero value needs a Reset.
type lzw struct {
	w io.Writer
	// codes are those of a code followed by a byte.
	codes  map[uint32]uint16
	next   uint32 // code to be given
	width  uint
	prefix int32 // code of what was read and not written yet; -1: nothing
	bits   uint64
	held   uint // bits
	group  int  // bytes of the present group that are out
	begun  bool
	out    []byte
}

// Reset begins another stream.
func (l *lzw) Reset(w io.Writer) {
	l.w, l.begun, l.prefix = w, false, -1
	l.bits, l.held, l.group, l.out = 0, 0, 0, l.out[:0]
	l.restart()
}

func (l *lzw) restart() {
	if len(l.codes) > 256 || l.codes == nil { // to empty a large map costs more than another small one
		l.codes = make(map[uint32]uint16)
	} else {
		clear(l.codes)
	}
	l.next, l.width = firstCode, minBits
}

// Write implements io.Writer.
func (l *lzw) Write(p []byte) (int, error) {
	l.begin()
	for _, c := range p {
		if l.prefix < 0 {
			l.prefix = int32(c)
			continue
		}
		key := uint32(l.prefix)<<8 | uint32(c) //nolint:gosec // not negative
		if code, ok := l.codes[key]; ok {
			l.prefix = int32(code)
			continue
		}
		l.code(uint32(l.prefix)) //nolint:gosec // not negative
		if l.next < 1<<maxBits {
			l.codes[key] = uint16(l.next) //nolint:gosec // below 1<<16
			l.next++
		} else {
			l.clear()
		}
		l.prefix = int32(c)
	}
	return len(p), l.send()
}

func (l *lzw) begin() {
	if !l.begun {
		l.begun = true
		l.out = append(l.out, 0x1f, 0x9d, 0x80|maxBits) // with clear codes
	}
}

// code writes a code, and widens those after it as soon as the next one to be
// given needs it: the reader, which is one behind, does it at the same place.
func (l *lzw) code(c uint32) {
	l.bits |= uint64(c) << l.held
	for l.held += l.width; l.held >= 8; l.held -= 8 {
		l.out = append(l.out, byte(l.bits))
		l.bits >>= 8
		l.group++
	}
	if l.group == int(l.width) { //nolint:gosec // at most 16
		l.group = 0
	}
	if l.width < maxBits && l.next > 1<<l.width-1 {
		l.pad()
		l.width++
	}
}

// pad ends the group.
func (l *lzw) pad() {
	if l.held > 0 {
		l.out = append(l.out, byte(l.bits))
		l.group++
	}
	for l.bits, l.held = 0, 0; l.group > 0 && l.group < int(l.width); l.group++ { //nolint:gosec // at most 16
		l.out = append(l.out, 0)
	}
	l.group = 0
}

// clear has the reader forget all codes, and starts over.
func (l *lzw) clear() {
	l.next = firstCode // so that the clear code widens nothing
	l.code(clearCode)
	l.pad()
	l.restart()
}

// Flush writes all that was read such that it can be read back. Codes end on a
// byte only with their group, so that a group ends here, by a clear code.
func (l *lzw) Flush() error {
	if l.prefix < 0 {
		return l.send()
	}
	l.code(uint32(l.prefix)) //nolint:gosec // not negative
	l.prefix = -1
	l.clear()
	return l.send()
}

// Close ends the stream. It leaves the writer open.
func (l *lzw) Close() error {
	l.begin()
	if l.prefix >= 0 {
		l.code(uint32(l.prefix)) //nolint:gosec // not negative
		l.prefix = -1
	}
	if l.held > 0 {
		l.out = append(l.out, byte(l.bits))
		l.held = 0
	}
	return l.send()
}

func (l *lzw) send() error {
	if len(l.out) == 0 {
		return nil
	}
	_, err := l.w.Write(l.out)
	l.out = l.out[:0]
	return err
}
