package sniff

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// Numbers of the extensions that a fingerprint reads besides those of routing.
const (
	extSignatureAlgorithms = 13
	extSupportedVersions   = 43
)

// JA4 returns the JA4 fingerprint of the ClientHello at the start of b, a
// stream of TLS records over TCP (FoxIO's JA4: TLS client fingerprinting). It
// returns "" if there is no whole ClientHello.
func JA4(b []byte) string {
	message := helloMessage(b)
	if message == nil {
		return ""
	}
	f := fields{b: message[messageHead:]}
	version := f.uint16()
	f.take(32)  // random
	f.vector8() // session id
	ciphers := numbers(f.vector16())
	f.vector8() // compression methods
	var exts fields
	if !f.ended() {
		exts = f.vector16()
	}
	if f.bad {
		return ""
	}
	h := fingerprint{version: version, ciphers: ciphers, alpn: "00"}
	for !exts.ended() {
		kind, body := exts.uint16(), exts.vector16()
		if exts.bad {
			return ""
		}
		if !grease(kind) {
			h.extension(kind, body)
		}
	}
	return h.String()
}

// helloMessage joins the records of the first message, nil if it is no whole
// ClientHello.
func helloMessage(b []byte) []byte {
	var message []byte
	for len(b) >= recordHead {
		size := recordHead + int(binary.BigEndian.Uint16(b[3:]))
		if len(b) < size || checkRecord(b) != nil {
			return nil
		}
		message = append(message, b[recordHead:size]...)
		if len(message) >= messageHead && len(message) >= messageLen(message) {
			if message[0] != clientHello {
				return nil
			}
			return message
		}
		b = b[size:]
	}
	return nil
}

// grease reports whether a number is there only to keep servers used to
// unknown ones (RFC 8701).
func grease(n int) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

// numbers reads a list of 16-bit numbers, without those of RFC 8701.
func numbers(f fields) []int {
	var list []int
	for !f.ended() {
		n := f.uint16()
		if f.bad {
			break
		}
		if !grease(n) {
			list = append(list, n)
		}
	}
	return list
}

// fingerprint is what JA4 looks at.
type fingerprint struct {
	version    int
	named      bool // there is a server name
	ciphers    []int
	extensions int   // number of all
	kinds      []int // of all but server name and ALPN
	algorithms []int // of signatures, in the client's order
	alpn       string
}

func (h *fingerprint) extension(kind int, body fields) {
	h.extensions++
	switch kind {
	case extServerName:
		h.named = true
		return
	case extALPN:
		list := body.vector16()
		h.alpn = ends(list.vector8().b)
		return
	case extSupportedVersions:
		if versions := numbers(body.vector8()); len(versions) > 0 {
			h.version = slices.Max(versions)
		}
	case extSignatureAlgorithms:
		h.algorithms = numbers(body.vector16())
	}
	h.kinds = append(h.kinds, kind)
}

// ends returns the first and the last character of a protocol's name, or of its
// hexadecimal form if one of them is no letter and no digit.
func ends(name []byte) string {
	if len(name) == 0 {
		return "00"
	}
	first, last := name[0], name[len(name)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		text := hex.EncodeToString(name)
		first, last = text[0], text[len(text)-1]
	}
	return string([]byte{first, last})
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

var ja4Versions = map[int]string{
	0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
}

// String returns the fingerprint.
func (h *fingerprint) String() string {
	version, ok := ja4Versions[h.version]
	if !ok {
		version = "00"
	}
	name := "i"
	if h.named {
		name = "d"
	}
	slices.Sort(h.ciphers)
	slices.Sort(h.kinds)
	kinds := listed(h.kinds)
	if len(h.algorithms) > 0 && kinds != "" {
		kinds += "_" + listed(h.algorithms)
	}
	return fmt.Sprintf("t%s%s%02d%02d%s_%s_%s", version, name, min(len(h.ciphers), 99), min(h.extensions, 99), h.alpn, short(listed(h.ciphers)), short(kinds))
}

// listed writes numbers in hexadecimal with commas between.
func listed(list []int) string {
	b := make([]byte, 0, 5*len(list))
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(n >> 8), byte(n)})
	}
	return string(b)
}

// short is the start of a text's hash.
func short(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
