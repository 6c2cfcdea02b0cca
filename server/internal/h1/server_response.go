package h1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// outgoing is how much of a response is gathered for one write: its head
	// and one piece of a body as the edge copies it.
	outgoing = 34 << 10
	// undecided is how much of a body may be waited for before its framing is
	// chosen, so that short ones of unknown length get one.
	undecided = 2 << 10
	// numberRoom is what a decimal or hexadecimal length takes.
	numberRoom = 20
)

var outgoingBuffers = sync.Pool{New: func() any { return new([outgoing]byte) }}

// response is the http.ResponseWriter of a Server. It belongs to the goroutine
// of its handler; deadlines may be set from any.
type response struct {
	c      *serverConn
	req    *incoming
	header http.Header

	pooled *[outgoing]byte // the array behind b, nil while nothing was written
	b      []byte          // what is to be written next
	open   int             // where b lacks the framing and the end of the head, if framing is undecidedBody

	framing outFraming
	status  int   // 0 until the final head
	length  int64 // of the body as announced, for knownLength
	wrote   int64 // bytes of the body
	closing bool  // the connection ends with this response
	err     error // of the connection
}

// outFraming says how the body of a response is delimited.
type outFraming uint8

const (
	notBegun outFraming = iota
	bodiless
	undecidedBody
	knownLength
	inChunks
)

// Header returns the fields of the head that is written next, and behind it
// those of the trailer section, as of http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader writes a head: an interim one at once, the final one with what
// follows.
func (w *response) WriteHeader(code int) {
	if w.status != 0 || code < 100 || code > 999 {
		return
	}
	body := &w.req.body
	body.mu.Lock()
	defer body.mu.Unlock()
	w.begin()
	if code < 200 {
		w.statusLine(code)
		w.fields(true)
		w.b = append(w.b, "\r\n"...)
		w.send()
		return
	}
	w.status = code
	body.expected = false
	var err error
	if len(w.header["Content-Length"]) == 0 {
		delete(w.header, "Content-Length") // a nil value means none
	} else if w.length, err = contentLength(w.header); err != nil || code == http.StatusNoContent || code == http.StatusNotModified {
		delete(w.header, "Content-Length") // RFC 9110 8.6
	}
	w.statusLine(code)
	if asked := w.header["Connection"]; hasToken(asked, "close") {
		w.closing = true
	} else if w.closing || !body.done.Load() || w.c.phases.Last() {
		w.closing = true
		w.b = append(w.b, "Connection: close\r\n"...)
	}
	w.fields(false)
	w.frame()
}

// frame chooses the framing of the final response, if it can be told already.
func (w *response) frame() {
	switch {
	case w.status == http.StatusNoContent, w.status == http.StatusNotModified, w.req.Method == http.MethodHead:
		w.framing = bodiless
	case len(w.header["Content-Length"]) > 0:
		w.framing = knownLength
	case len(w.header["Trailer"]) > 0:
		w.framing = inChunks
		w.b = append(w.b, "Transfer-Encoding: chunked\r\n"...)
	default:
		w.framing, w.open = undecidedBody, len(w.b)
		return
	}
	w.b = append(w.b, "\r\n"...)
}

// statusLine appends the first line of a head.
func (w *response) statusLine(code int) {
	w.b = append(w.b, "HTTP/1.1 "...)
	w.b = strconv.AppendInt(w.b, int64(code), 10)
	w.b = append(w.b, ' ')
	if text := http.StatusText(code); text != "" {
		w.b = append(w.b, text...)
	} else {
		w.b = strconv.AppendInt(append(w.b, "status code "...), int64(code), 10)
	}
	w.b = append(w.b, "\r\n"...)
}

// fields appends the header. What frames the message is decided here alone, and
// an interim head has nothing of it (RFC 9110 8.6).
func (w *response) fields(interim bool) {
	var few [32]string
	names := few[:0]
	for name, values := range w.header {
		if len(values) == 0 || name == "Transfer-Encoding" || interim && name == "Content-Length" ||
			strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.field(name, w.header[name])
	}
}

// field appends a field, one line for each value. A name that cannot be one is
// left out, and a line break in a value becomes a space.
func (w *response) field(name string, values []string) {
	if !validName(name) {
		return
	}
	if name == "Content-Length" {
		values = values[:1]
	}
	for _, v := range values {
		w.b = append(w.b, name...)
		w.b = append(w.b, ": "...)
		from := len(w.b)
		w.b = append(w.b, v...)
		if !validValue(v) {
			for i, c := range w.b[from:] {
				if c < 0x20 && c != '\t' || c == 0x7f {
					w.b[from+i] = ' '
				}
			}
		}
		w.b = append(w.b, "\r\n"...)
	}
}

// Write writes a part of the body.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	switch w.framing {
	case bodiless:
		if w.req.Method == http.MethodHead {
			return len(p), nil
		}
		return 0, http.ErrBodyNotAllowed
	case knownLength:
		if w.wrote+int64(len(p)) > w.length {
			return 0, http.ErrContentLength
		}
	case undecidedBody:
		if int(w.wrote)+len(p) <= undecided {
			w.begin()
			w.b = append(w.b, p...)
			w.wrote += int64(len(p))
			return len(p), nil
		}
		w.chunk()
	case notBegun, inChunks:
	}
	if len(p) == 0 {
		return 0, nil
	}
	w.wrote += int64(len(p))
	if w.framing == inChunks {
		return len(p), w.writeChunk(p)
	}
	return len(p), w.gather(p)
}

// gather writes p, together with what is there if both fit.
func (w *response) gather(p []byte) error {
	if len(w.b)+len(p) > outgoing {
		w.send()
	}
	if len(w.b) == 0 && len(p) >= outgoing/2 && w.err == nil {
		_, w.err = w.c.nc.Write(p)
		return w.err
	}
	for len(p) > 0 && w.err == nil {
		w.begin()
		n := min(len(p), outgoing-len(w.b))
		w.b = append(w.b, p[:n]...)
		if p = p[n:]; len(w.b) >= outgoing/2 {
			w.send()
		}
	}
	return w.err
}

// writeChunk writes p as a chunk.
func (w *response) writeChunk(p []byte) error {
	if len(w.b)+len(p)+numberRoom > outgoing {
		w.send()
	}
	w.begin()
	w.b = strconv.AppendInt(w.b, int64(len(p)), 16)
	w.b = append(w.b, "\r\n"...)
	if err := w.gather(p); err != nil {
		return err
	}
	if len(w.b)+2 > outgoing {
		w.send()
	}
	w.begin()
	w.b = append(w.b, "\r\n"...)
	return w.err
}

// chunk decides that the body goes in chunks. What there is of it becomes the
// first one.
func (w *response) chunk() {
	head := "Transfer-Encoding: chunked\r\n\r\n"
	body := len(w.b) - w.open
	if body > 0 {
		head += strconv.FormatInt(int64(body), 16) + "\r\n"
		w.b = append(w.b, "\r\n"...)
	}
	w.b = slices.Insert(w.b, w.open, []byte(head)...)
	w.framing = inChunks
}

// finish ends the response. It fails if the client has not got the whole of
// it.
func (w *response) finish() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch w.framing {
	case undecidedBody:
		if w.hasTrailer() {
			w.chunk()
			w.endChunks()
			break
		}
		head := "Content-Length: " + strconv.Itoa(len(w.b)-w.open) + "\r\n\r\n"
		w.b = slices.Insert(w.b, w.open, []byte(head)...)
	case inChunks:
		w.endChunks()
	case knownLength:
		if w.wrote < w.length {
			w.closing = true // the end of the connection tells
		}
	case notBegun, bodiless:
	}
	if !w.req.body.done.Load() {
		w.closing = true
	}
	w.send()
	return w.err
}

// hasTrailer reports whether there are fields for a trailer section.
func (w *response) hasTrailer() bool {
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// endChunks appends the last chunk and the trailer section: the fields that
// were announced, and those with http.TrailerPrefix.
func (w *response) endChunks() {
	if len(w.b)+numberRoom > outgoing {
		w.send()
	}
	w.begin()
	w.b = append(w.b, "0\r\n"...)
	for name := range listed(w.header["Trailer"]) {
		if name, ok := canonicalName(name); ok {
			w.field(name, w.header[name])
		}
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.field(name, values)
		}
	}
	w.b = append(w.b, "\r\n"...)
}

// Flush writes what there is.
func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.framing == undecidedBody {
		w.chunk()
	}
	w.send()
}

// SetReadDeadline sets the deadline for reading the body of the request.
func (w *response) SetReadDeadline(t time.Time) error { return w.c.nc.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline for writing the response.
func (w *response) SetWriteDeadline(t time.Time) error { return w.c.nc.SetWriteDeadline(t) }

// EnableFullDuplex does nothing: a response may always begin while the body of
// its request is read.
func (w *response) EnableFullDuplex() error { return nil }

// begin makes sure that there is a buffer.
func (w *response) begin() {
	if w.pooled == nil {
		w.pooled = outgoingBuffers.Get().(*[outgoing]byte)
		w.b = w.pooled[:0]
	}
}

// send writes the buffer to the client.
func (w *response) send() {
	if len(w.b) > 0 && w.err == nil {
		_, w.err = w.c.nc.Write(w.b)
	}
	w.b = w.b[:0]
}

// free gives the buffer back.
func (w *response) free() {
	if w.pooled != nil {
		outgoingBuffers.Put(w.pooled)
		w.pooled, w.b = nil, nil
	}
}
