package sniff

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// maxHello is the largest handshake message that is reassembled, its head
	// included (endpoints.md 16).
	maxHello = 64 << 10
	// maxHelloBytes bounds the records that carry it.
	maxHelloBytes = maxHello + 8<<10

	recordHead  = 5
	maxRecord   = 1 << 14
	messageHead = 4
	clientHello = 1
)

// Hello is what routing needs of a ClientHello.
type Hello struct {
	// ServerName is the host name of the server_name extension (RFC 6066 3)
	// in canonical form, "" if there is none.
	ServerName string
	// ALPN lists the protocols of application-layer protocol negotiation in
	// the client's order (RFC 7301).
	ALPN []string
}

var (
	// ErrNotTLS reports bytes that are no TLS handshake.
	ErrNotTLS = errors.New("sniff: not TLS")
	// ErrHello reports a malformed ClientHello, or one whose server name is
	// not a host name.
	ErrHello = errors.New("sniff: malformed ClientHello")
)

// ParseClientHello reads the ClientHello at the start of b, a stream of TLS
// records. Errors wrap ErrNotTLS, ErrHello or ErrTooLarge.
func ParseClientHello(b []byte) (Hello, error) {
	var r helloReader
	h, err := r.read(b)
	if errors.Is(err, errNeedMore) {
		return Hello{}, fmt.Errorf("%w: cut short", ErrHello)
	}
	return h, err
}

// helloReader reassembles the message while its records arrive. What it has
// read once it does not read again, so that a client which sends byte by byte
// costs no more than its bytes.
type helloReader struct {
	next    int    // offset of the next record
	message []byte // the payloads so far; only if there are several records
}

// read looks at the bytes received so far, which begin as those of the last
// call did.
func (r *helloReader) read(b []byte) (Hello, error) {
	for {
		if len(b)-r.next < recordHead {
			if err := checkRecord(b[r.next:]); err != nil {
				return Hello{}, err
			}
			return Hello{}, errNeedMore
		}
		if err := checkRecord(b[r.next:]); err != nil {
			return Hello{}, err
		}
		size := int(binary.BigEndian.Uint16(b[r.next+3:]))
		if size == 0 || size > maxRecord {
			return Hello{}, hello("record of %d bytes", size)
		}
		if len(b)-r.next < recordHead+size {
			return Hello{}, errNeedMore
		}
		payload := b[r.next+recordHead : r.next+recordHead+size]
		r.next += recordHead + size
		if r.message == nil {
			// The usual case: one record with the whole message.
			if done, err := complete(payload); done || err != nil {
				return finish(payload, err)
			}
		}
		r.message = append(r.message, payload...)
		if done, err := complete(r.message); done || err != nil {
			return finish(r.message, err)
		}
	}
}

// checkRecord judges the head of a record, of which only a part may be there.
func checkRecord(b []byte) error {
	if len(b) > 0 && b[0] != handshake || len(b) > 1 && b[1] != majorTLS {
		return ErrNotTLS
	}
	return nil
}

// complete reports whether m holds a whole ClientHello message.
func complete(m []byte) (bool, error) {
	if m[0] != clientHello {
		return false, hello("message of type %d", m[0])
	}
	if len(m) < messageHead {
		return false, nil
	}
	size := messageLen(m)
	if size > maxHello {
		return false, fmt.Errorf("%w: ClientHello of %d", ErrTooLarge, size)
	}
	return len(m) >= size, nil
}

func messageLen(m []byte) int {
	return messageHead + int(m[1])<<16 + int(m[2])<<8 + int(m[3])
}

func finish(m []byte, err error) (Hello, error) {
	if err != nil {
		return Hello{}, err
	}
	if messageLen(m) != len(m) {
		// Nothing may follow before the server has answered.
		return Hello{}, hello("bytes behind the message")
	}
	return parseHello(m[messageHead:])
}

func hello(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHello, fmt.Sprintf(format, args...))
}

// Numbers of the extensions that are read.
const (
	extServerName = 0
	extALPN       = 16
)

// parseHello reads the body of a ClientHello (RFC 8446 4.1.2).
func parseHello(b []byte) (Hello, error) {
	f := fields{b: b}
	f.take(2 + 32) // version, random
	f.vector8()    // session id
	f.vector16()   // cipher suites
	f.vector8()    // compression methods
	if f.ended() {
		return Hello{}, nil // TLS 1.2 without extensions
	}
	exts := f.vector16()
	if !f.ended() {
		return Hello{}, hello("cut short or too long")
	}
	var h Hello
	var name, alpn bool
	for !exts.ended() {
		kind, body := exts.uint16(), exts.vector16()
		if exts.bad {
			return Hello{}, hello("extension cut short")
		}
		var err error
		switch kind {
		case extServerName:
			if name {
				return Hello{}, hello("two server_name extensions")
			}
			name = true
			h.ServerName, err = serverName(body)
		case extALPN:
			if alpn {
				return Hello{}, hello("two ALPN extensions")
			}
			alpn = true
			h.ALPN, err = protocols(body)
		}
		if err != nil {
			return Hello{}, err
		}
	}
	return h, nil
}

// serverName reads the extension that holds the host name.
func serverName(f fields) (string, error) {
	list := f.vector16()
	if !f.ended() || len(list.b) == 0 {
		return "", hello("server_name")
	}
	name := ""
	for !list.ended() {
		kind, host := list.uint8(), list.vector16()
		if list.bad {
			return "", hello("server_name cut short")
		}
		if kind != 0 {
			continue
		}
		if name != "" {
			return "", hello("two host names")
		}
		var ok bool
		if name, ok = CanonicalName(string(host.b)); !ok {
			return "", hello("the server name is no host name")
		}
	}
	return name, nil
}

// protocols reads the extension that lists application protocols.
func protocols(f fields) ([]string, error) {
	list := f.vector16()
	if !f.ended() || len(list.b) == 0 {
		return nil, hello("ALPN")
	}
	var out []string
	for !list.ended() {
		p := list.vector8()
		if list.bad || len(p.b) == 0 {
			return nil, hello("ALPN cut short")
		}
		out = append(out, string(p.b))
	}
	return out, nil
}

// CanonicalName returns the one form in which a server name is compared and
// looked up: lower case and without a trailing dot. It reports false for text
// that cannot be the name of a host in A-labels, wildcards among it.
func CanonicalName(name string) (string, bool) {
	n := len(name)
	if n > 0 && name[n-1] == '.' {
		n--
	}
	if n == 0 || n > 253 {
		return "", false
	}
	name = name[:n]
	upper, label := false, 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			upper = true
			label++
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return "", false
		}
		if label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if !upper {
		return name, true
	}
	lower := []byte(name)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower), true
}
