package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
)

const (
	prefixV1 = "PROXY "
	minV1    = len("PROXY UNKNOWN\r\n")
)

func appendV1(b []byte, src, dst netip.AddrPort) []byte {
	b = append(b, prefixV1...)
	switch {
	case !src.IsValid() || !dst.IsValid():
		return append(b, "UNKNOWN\r\n"...)
	case src.Addr().Is4():
		b = append(b, "TCP4 "...)
	default:
		b = append(b, "TCP6 "...)
	}
	b = src.Addr().AppendTo(b)
	b = append(b, ' ')
	b = dst.Addr().AppendTo(b)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(src.Port()), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(dst.Port()), 10)
	return append(b, "\r\n"...)
}

func parseV1(b []byte) (Header, int, error) {
	if n := min(len(b), len(prefixV1)); string(b[:n]) != prefixV1[:n] {
		return Header{}, 0, malformed("unknown signature")
	}
	end := bytes.IndexByte(b[:min(len(b), MaxV1)], '\n')
	if end < 0 {
		// The last of MaxV1 bytes has to be the line end.
		if len(b) >= MaxV1 {
			return Header{}, 0, malformed("no line end within %d bytes", MaxV1)
		}
		return Header{}, 0, ErrNeedMore
	}
	line := b[:end]
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return Header{}, 0, malformed("line ends without a carriage return")
	}
	h, err := parseLine(string(line[len(prefixV1) : len(line)-1]))
	if err != nil {
		return Header{}, 0, err
	}
	return h, end + 1, nil
}

// parseLine reads what stands between "PROXY " and the line end.
func parseLine(line string) (Header, error) {
	var fields [5]string
	rest, n := line, 0
	for ; n < len(fields); n++ {
		i := indexSpace(rest)
		if i < 0 {
			fields[n] = rest
			rest = ""
			n++
			break
		}
		fields[n], rest = rest[:i], rest[i+1:]
	}
	if fields[0] == "UNKNOWN" {
		// What follows must be ignored, says the specification.
		return Header{Version: 1, Local: true}, nil
	}
	if n != len(fields) || rest != "" || line[len(line)-1] == ' ' {
		return Header{}, malformed("version 1 wants five fields")
	}
	src, err := addrV1(fields[0], fields[1], fields[3])
	if err != nil {
		return Header{}, err
	}
	dst, err := addrV1(fields[0], fields[2], fields[4])
	if err != nil {
		return Header{}, err
	}
	return Header{Version: 1, Src: src, Dst: dst}, nil
}

func indexSpace(s string) int {
	for i := range len(s) {
		if s[i] == ' ' {
			return i
		}
	}
	return -1
}

func addrV1(family, addr, port string) (netip.AddrPort, error) {
	if family != "TCP4" && family != "TCP6" {
		return netip.AddrPort{}, malformed("unknown family")
	}
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, malformed("bad %s address", family)
	}
	// ParseUint would take leading zeros.
	if len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, malformed("bad port")
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, malformed("bad port")
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}
