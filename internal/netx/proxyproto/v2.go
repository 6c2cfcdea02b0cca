package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The twelve bytes that begin a header of version 2, and the bytes up to the
// end of its length field.
const (
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
	headV2      = len(signatureV2) + 4
)

// Values of the command and family bytes, and the one extension that is
// checked.
const (
	version2   = 0x20
	cmdLocal   = 0x0
	cmdProxy   = 0x1
	famUnspec  = 0x00
	famTCP4    = 0x11
	famTCP6    = 0x21
	famUnix    = 0x31
	sizeTCP4   = 12
	sizeTCP6   = 36
	sizeUnix   = 216
	tlvCRC32C  = 0x03
	tlvHead    = 3
	crc32cSize = 4
)

func appendV2(b []byte, src, dst netip.AddrPort) []byte {
	b = append(b, signatureV2...)
	b = append(b, version2|cmdProxy)
	switch {
	case !src.IsValid() || !dst.IsValid():
		return append(b, famUnspec, 0, 0)
	case src.Addr().Is4():
		b = append(b, famTCP4, 0, sizeTCP4)
		s, d := src.Addr().As4(), dst.Addr().As4()
		b = append(b, s[:]...)
		b = append(b, d[:]...)
	default:
		b = append(b, famTCP6, 0, sizeTCP6)
		s, d := src.Addr().As16(), dst.Addr().As16()
		b = append(b, s[:]...)
		b = append(b, d[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, src.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}

// lengthV2 tells the length of the whole header whose first headV2 bytes b
// holds.
func lengthV2(b []byte) int {
	return headV2 + int(binary.BigEndian.Uint16(b[headV2-2:]))
}

func parseV2(b []byte) (Header, int, error) {
	if n := min(len(b), len(signatureV2)); string(b[:n]) != signatureV2[:n] {
		return Header{}, 0, malformed("unknown signature")
	}
	if len(b) > len(signatureV2) {
		if v := b[len(signatureV2)]; v != version2|cmdLocal && v != version2|cmdProxy {
			return Header{}, 0, malformed("unknown version or command %#x", v)
		}
	}
	if len(b) < headV2 {
		return Header{}, 0, ErrNeedMore
	}
	n := lengthV2(b)
	if n > MaxV2 {
		return Header{}, 0, malformed("%d bytes, more than %d", n, MaxV2)
	}
	if len(b) < n {
		return Header{}, 0, ErrNeedMore
	}
	h, size, err := addrsV2(b[len(signatureV2):n])
	if err != nil {
		return Header{}, 0, err
	}
	if err := checkTLVs(b[:n], headV2+size); err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addrsV2 reads the addresses of a header whose signature is cut off, and
// tells how many bytes they take.
func addrsV2(b []byte) (Header, int, error) {
	local := b[0] == version2|cmdLocal
	family, body := b[1], b[4:]
	h := Header{Version: 2}
	var size int
	switch family {
	case famUnspec:
		h.Local = true
		// No addresses; a receiver must skip the rest unread.
		return h, len(body), nil
	case famTCP4:
		size = sizeTCP4
	case famTCP6:
		size = sizeTCP6
	case famUnix:
		size = sizeUnix
	default:
		if local {
			h.Local = true
			return h, len(body), nil
		}
		return Header{}, 0, malformed("unknown family %#x", family)
	}
	if local {
		h.Local = true
		return h, len(body), nil
	}
	if len(body) < size {
		return Header{}, 0, malformed("addresses cut short")
	}
	if family == famUnix {
		h.Local = true
		return h, size, nil
	}
	n := (size - 4) / 2
	src, _ := netip.AddrFromSlice(body[:n])
	dst, _ := netip.AddrFromSlice(body[n : 2*n])
	h.Src = netip.AddrPortFrom(src.Unmap(), binary.BigEndian.Uint16(body[2*n:]))
	h.Dst = netip.AddrPortFrom(dst.Unmap(), binary.BigEndian.Uint16(body[2*n+2:]))
	return h, size, nil
}

// checkTLVs walks the extensions of the header b, which begin at offset at.
// Unknown ones are skipped; a checksum has to be right.
func checkTLVs(b []byte, at int) error {
	for at < len(b) {
		if len(b)-at < tlvHead {
			return malformed("extension cut short")
		}
		kind := b[at]
		n := int(binary.BigEndian.Uint16(b[at+1:]))
		at += tlvHead
		if len(b)-at < n {
			return malformed("extension cut short")
		}
		if kind == tlvCRC32C {
			if n != crc32cSize {
				return malformed("checksum of %d bytes", n)
			}
			if binary.BigEndian.Uint32(b[at:]) != checksum(b, at) {
				return malformed("wrong checksum")
			}
		}
		at += n
	}
	return nil
}

// checksum is the CRC-32C of the header with the four bytes at offset at
// taken as zero.
func checksum(b []byte, at int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:at])
	sum = crc32.Update(sum, table, make([]byte, crc32cSize))
	return crc32.Update(sum, table, b[at+crc32cSize:])
}
