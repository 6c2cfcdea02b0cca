package sniff

// fields reads the parts of a TLS structure one after the other. Once a part
// is longer than what is left it is bad, and stays so, with nothing left.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if len(f.b) < n {
		f.b, f.bad = nil, true
		return nil
	}
	part := f.b[:n]
	f.b = f.b[n:]
	return part
}

// ended reports whether everything was read and nothing was missing.
func (f *fields) ended() bool { return len(f.b) == 0 && !f.bad }

func (f *fields) uint8() int {
	b := f.take(1)
	if f.bad {
		return 0
	}
	return int(b[0])
}

func (f *fields) uint16() int {
	b := f.take(2)
	if f.bad {
		return 0
	}
	return int(b[0])<<8 | int(b[1])
}

// vector8 and vector16 read a part that begins with its length.
func (f *fields) vector8() fields  { return fields{b: f.take(f.uint8()), bad: f.bad} }
func (f *fields) vector16() fields { return fields{b: f.take(f.uint16()), bad: f.bad} }
