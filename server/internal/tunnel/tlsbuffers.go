package tunnel

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// The buffers that a TLS connection keeps for as long as it lives: the largest
// record and the largest handshake message that it has received. Of an idle
// agent they are several kilobytes, and dozens once it has carried traffic.
var buffers = bufferOffsets("rawInput", "hand")

// bufferOffsets finds fields of tls.Conn. What a version of crypto/tls has not,
// or has in another form, is left out.
func bufferOffsets(names ...string) (offsets []uintptr) {
	for _, name := range names {
		f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
		if ok && f.Type == reflect.TypeFor[bytes.Buffer]() {
			offsets = append(offsets, f.Offset)
		}
	}
	return offsets
}

// dropBuffers lets go of the memory of buffers with nothing in them. Only who
// reads from c, and is not about it, may call it.
func dropBuffers(c *tls.Conn) {
	for _, at := range buffers {
		//nolint:gosec // a field of c, and the type is what bufferOffsets saw
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), at))
		if b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}
