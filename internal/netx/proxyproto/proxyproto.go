package proxyproto

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// The longest header of each version that Parse accepts, in bytes. MaxV1 is
// what the specification allows with its line end. Version 2 could carry 64
// KiB of extensions; more than MaxV2 is refused (reliability-security T10).
const (
	MaxV1 = 107
	MaxV2 = 4096
)

// ErrNeedMore reports that the bytes given are the beginning of a header and
// that more are needed to tell.
var ErrNeedMore = errors.New("proxyproto: header is incomplete")

// ErrMalformed reports bytes that are not a header, or one that breaks the
// specification or a limit of this package. Errors of Parse and Read wrap it.
var ErrMalformed = errors.New("proxyproto: malformed header")

// Header is what a PROXY header says about a connection.
type Header struct {
	// Version is 1 or 2.
	Version int
	// Local reports that the header carries no usable addresses: LOCAL,
	// UNKNOWN, an unspecified or a Unix-socket family. The addresses of the
	// transport itself then stand.
	Local bool
	// Src is the client's address; invalid if Local.
	Src netip.AddrPort
	// Dst is the address the client connected to; invalid if Local.
	Dst netip.AddrPort
}

// Append appends the header of the given version, 1 or 2, for a TCP
// connection from src to dst and returns the longer slice. Addresses of
// different families are both written as IPv6; if either is invalid the
// header says that the addresses are unknown. A version other than 2 writes
// version 1.
func Append(b []byte, version int, src, dst netip.AddrPort) []byte {
	src, dst = canonical(src), canonical(dst)
	if src.Addr().Is4() != dst.Addr().Is4() {
		src, dst = as6(src), as6(dst)
	}
	if version == 2 {
		return appendV2(b, src, dst)
	}
	return appendV1(b, src, dst)
}

// Parse reads the header at the start of b and tells how many bytes it takes.
// It returns ErrNeedMore if b is a proper prefix of what may become a header,
// and an error wrapping ErrMalformed if b cannot begin one.
func Parse(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, ErrNeedMore
	}
	if b[0] == signatureV2[0] {
		return parseV2(b)
	}
	return parseV1(b)
}

// Read reads exactly one header from r and nothing behind it. It also returns
// the bytes of the header as they came, so that they can be passed on with
// extensions this package does not know. Version 1 is read in steps of a byte
// or two, since its end shows only when it is reached. A reader that ends
// inside the header gives io.ErrUnexpectedEOF, one that ends before it io.EOF.
func Read(r io.Reader) (h Header, raw []byte, err error) {
	// No header is shorter than "PROXY UNKNOWN" with its line end.
	raw = make([]byte, minV1, 64)
	if _, err := io.ReadFull(r, raw); err != nil {
		return Header{}, nil, fmt.Errorf("read proxy header: %w", err)
	}
	for {
		h, n, err := Parse(raw)
		if err == nil {
			return h, raw[:n], nil
		}
		if !errors.Is(err, ErrNeedMore) {
			return Header{}, nil, err
		}
		more := missing(raw)
		raw = append(raw, make([]byte, more)...)
		if _, err := io.ReadFull(r, raw[len(raw)-more:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, nil, fmt.Errorf("read proxy header: %w", err)
		}
	}
}

// missing returns how many further bytes the header that begins with b has at
// the least. It is called only after Parse asked for more.
func missing(b []byte) int {
	if b[0] != signatureV2[0] {
		if b[len(b)-1] == '\r' {
			return 1
		}
		return 2
	}
	if len(b) < headV2 {
		return headV2 - len(b)
	}
	return lengthV2(b) - len(b)
}

// canonical strips what must not show in a header: zones and the IPv4-mapped
// form.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// as6 gives the IPv4-mapped form of an IPv4 address.
func as6(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() {
		return a
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
