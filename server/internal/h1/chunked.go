package h1

import "bytes"

// chunks decodes the chunked transfer coding (RFC 9112 7.1), strictly: CRLF
// only, at least one and at most 16 hexadecimal digits, bounded extensions.
type chunks struct {
	left   int64 // data bytes of the current chunk still to come
	excess int64 // framing spent beyond what the data justifies
	state  chunkState
}

type chunkState uint8

const (
	chunkSize    chunkState = iota // expects a size line
	chunkData                      // inside data
	chunkDataEnd                   // expects the CRLF after data
	chunkTrailer                   // the last chunk was seen
)

// step advances over b as far as framing goes. It returns how many bytes it
// used; more says that it needs further bytes to go on. It stops before data
// (state chunkData) and before the trailer section (state chunkTrailer).
func (c *chunks) step(b []byte) (used int, more bool, err error) {
	for {
		switch c.state {
		case chunkData, chunkTrailer:
			return used, false, nil
		case chunkDataEnd:
			if len(b)-used < 2 {
				if len(b)-used == 1 && b[used] != '\r' {
					return used, false, protocolError("chunk longer than its size")
				}
				return used, true, nil
			}
			if b[used] != '\r' || b[used+1] != '\n' {
				return used, false, protocolError("chunk longer than its size")
			}
			used += 2
			c.state = chunkSize
		case chunkSize:
			line := b[used:]
			i := bytes.IndexByte(line, '\n')
			if i > maxChunkLine || i < 0 && len(line) > maxChunkLine {
				return used, false, protocolError("chunk line longer than %d bytes", maxChunkLine)
			}
			if i < 0 {
				return used, true, nil
			}
			if err := c.size(line[:i]); err != nil {
				return used, false, err
			}
			used += i + 1
		}
	}
}

// size parses a chunk line, given without its LF.
func (c *chunks) size(line []byte) error {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return protocolError("chunk line ends in a bare LF")
	}
	cost := int64(len(line) + 3)
	line = line[:len(line)-1]
	var n uint64
	digits := 0
	for digits < len(line) {
		d, ok := unhex(line[digits])
		if !ok {
			break
		}
		if digits == 16 {
			return protocolError("chunk size of more than 16 digits")
		}
		n = n<<4 | uint64(d)
		digits++
	}
	if digits == 0 || n > 1<<62 {
		return protocolError("invalid chunk size %.20q", line)
	}
	if err := checkExtension(line[digits:]); err != nil {
		return err
	}
	c.excess = max(0, c.excess+cost-16-2*int64(n))
	if c.excess > maxChunkExcess {
		return protocolError("chunk framing out of proportion to its data")
	}
	c.left = int64(n)
	c.state = chunkData
	if n == 0 {
		c.state = chunkTrailer
	}
	return nil
}

// checkExtension checks what follows a chunk size: nothing, or white space and
// an extension, which is dropped.
func checkExtension(ext []byte) error {
	ext = bytes.TrimLeft(ext, " \t")
	if len(ext) == 0 {
		return nil
	}
	if ext[0] != ';' {
		return protocolError("invalid chunk size line")
	}
	for _, c := range ext {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return protocolError("control byte in chunk extension")
		}
	}
	return nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
