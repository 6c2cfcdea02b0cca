package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxProxyHeader is the largest JSON text of a [ProxyHeader] that is read, in
// bytes. Real ones have about 110.
const MaxProxyHeader = 64 << 10

// The kinds of edge in ProxyHeader.EdgeType. The field is a string on the
// wire; a number breaks clients.
const (
	// EdgeUndefined is what every endpoint uses that is not labelled.
	EdgeUndefined = "0"
	// EdgeTCP, EdgeTLS and EdgeHTTPS are for labelled tunnels.
	EdgeTCP, EdgeTLS, EdgeHTTPS = "1", "2", "3"
)

// ProxyHeader goes ahead of the bytes of every forwarded connection.
type ProxyHeader struct {
	// Id is the id of the bind that the connection is for.
	Id string //nolint:revive // the wire spells it so
	// ClientAddr is the public client, ip:port with brackets for IPv6.
	ClientAddr string
	// Proto is the endpoint's protocol: http, https, tcp or tls.
	Proto string
	// EdgeType is [EdgeUndefined] or another of these constants.
	EdgeType string
	// PassthroughTLS says that the bytes are TLS.
	PassthroughTLS bool
}

// AppendTo appends the start of a forwarded connection to b: stream type,
// length and the header as JSON. Its result is the head for mux.Session.Open,
// because agents need all of it in one frame (agent-protocol.md 10, H3). If b
// has room it does not allocate. An empty EdgeType is written as
// [EdgeUndefined].
func (h ProxyHeader) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(TypeProxy))
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, `{"Id":`...)
	b = appendString(b, h.Id)
	b = append(b, `,"ClientAddr":`...)
	b = appendString(b, h.ClientAddr)
	b = append(b, `,"Proto":`...)
	b = appendString(b, h.Proto)
	b = append(b, `,"EdgeType":`...)
	if h.EdgeType == "" {
		h.EdgeType = EdgeUndefined
	}
	b = appendString(b, h.EdgeType)
	if h.PassthroughTLS {
		b = append(b, `,"PassthroughTLS":true}`...)
	} else {
		b = append(b, `,"PassthroughTLS":false}`...)
	}
	binary.LittleEndian.PutUint64(b[start:], uint64(len(b)-start-8)) //nolint:gosec // a length is not negative
	return b
}

// ErrProxyHeader is wrapped by the errors of [ReadProxyHeader] that say that
// the header is malformed, as opposed to errors of the connection.
var ErrProxyHeader = errors.New("malformed proxy header")

// ReadProxyHeader reads a header from a stream whose type has already been
// read, and not one byte more. It refuses headers over [MaxProxyHeader] bytes.
func ReadProxyHeader(r io.Reader) (ProxyHeader, error) {
	var h ProxyHeader
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return h, fmt.Errorf("read proxy header length: %w", err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n == 0 || n > MaxProxyHeader {
		return h, fmt.Errorf("%w: length %d is not within 1 and %d", ErrProxyHeader, n, MaxProxyHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return h, fmt.Errorf("read proxy header: %w", err)
	}
	if h, ok := plainHeader(string(text)); ok {
		return h, nil
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return ProxyHeader{}, fmt.Errorf("%w: %w", ErrProxyHeader, err)
	}
	return h, nil
}

// plainHeader reads a header as AppendTo writes it, without an escape in it. It
// is for speed: whatever else JSON allows is not ok here.
func plainHeader(s string) (h ProxyHeader, ok bool) {
	for _, field := range [...]struct {
		before string
		value  *string
	}{{`{"Id":"`, &h.Id}, {`,"ClientAddr":"`, &h.ClientAddr}, {`,"Proto":"`, &h.Proto}, {`,"EdgeType":"`, &h.EdgeType}} {
		if s, ok = strings.CutPrefix(s, field.before); !ok {
			return h, false
		}
		if *field.value, s, ok = strings.Cut(s, `"`); !ok || !isPlain(*field.value) {
			return h, false
		}
	}
	h.PassthroughTLS = s == `,"PassthroughTLS":true}`
	return h, h.PassthroughTLS || s == `,"PassthroughTLS":false}`
}

// isPlain reports whether JSON has s as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '\\' {
			return false
		}
	}
	return true
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as encoding/json has it.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = utf8.AppendRune(b, utf8.RuneError)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
