package culvert

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxHeadSeen is the longest head that is understood.
	maxHeadSeen = 64 << 10
	// maxPipelined is how many requests may wait for their responses.
	maxPipelined = 256
)

// observer reads along with the HTTP/1 exchanges of one connection. It never
// changes, holds back or judges a byte: what it does not understand makes it
// stop looking. A request whose head comes in one piece costs it no allocation
// but the path, and that only if somebody wants to know.
type observer struct {
	// done is told of each exchange; nil if nobody wants to know.
	done func(method, path string, status int, d time.Duration)
	off  atomic.Bool
	open atomic.Int32 // requests whose response has not ended

	requests, responses scanner

	mu      sync.Mutex
	pending []seenRequest // requests whose response has not begun

	// The exchange whose response is under way; belongs to the responses.
	current seenRequest
	status  int
}

// seenRequest is a request; path and start are there only for who is told.
type seenRequest struct {
	method, path string
	start        time.Time
}

func newObserver(done func(method, path string, status int, d time.Duration)) *observer {
	o := &observer{done: done}
	o.requests = scanner{head: o.requestHead, end: func() {}}
	o.responses = scanner{head: o.responseHead, end: o.responseEnd}
	return o
}

// request sees bytes on their way to the upstream, before they leave.
func (o *observer) request(p []byte) { o.see(&o.requests, p) }

// response sees bytes from the upstream.
func (o *observer) response(p []byte) { o.see(&o.responses, p) }

// ToConn implements mux.Tap.
func (o *observer) ToConn(p []byte) { o.request(p) }

// ToStream implements mux.Tap.
func (o *observer) ToStream(p []byte) {
	if len(p) == 0 {
		o.ended()
		return
	}
	o.response(p)
}

func (o *observer) see(s *scanner, p []byte) {
	if !o.off.Load() && !s.feed(p) {
		o.off.Store(true)
	}
}

// requestWriter shows an observer a request that goes nowhere else.
type requestWriter struct{ o *observer }

// Write never fails.
func (w requestWriter) Write(p []byte) (int, error) {
	w.o.request(p)
	return len(p), nil
}

// quiet reports whether the connection is known to carry nothing now.
func (o *observer) quiet() bool { return !o.off.Load() && o.open.Load() == 0 }

// ended sees the end of the upstream's bytes.
func (o *observer) ended() {
	if !o.off.Load() && o.responses.state == untilEnd {
		o.responses.state = inHead
		o.responseEnd()
	}
}

func (o *observer) requestHead(line, fields []byte) (bodyKind, int64) {
	method, rest, ok := bytes.Cut(line, space)
	target, version, ok2 := bytes.Cut(rest, space)
	if !ok || !ok2 || !bytes.HasPrefix(version, http1) || string(method) == "CONNECT" {
		return notUnderstood, 0
	}
	r := seenRequest{method: methodName(method)}
	if o.done != nil {
		r.path, r.start = string(pathOf(target)), time.Now()
	}
	if !o.await(r) {
		return notUnderstood, 0
	}
	o.open.Add(1)
	kind, n := bodyOf(fields)
	if kind == untilEnd { // a request without a length has no body
		kind = noBody
	}
	return kind, n
}

// await notes a request, unless too many wait for their responses.
func (o *observer) await(r seenRequest) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) >= maxPipelined {
		return false
	}
	o.pending = append(o.pending, r)
	return true
}

// begin makes the first request that waits the current one, if there is one.
func (o *observer) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 {
		return false
	}
	o.current = o.pending[0]
	o.pending = o.pending[:copy(o.pending, o.pending[1:])]
	return true
}

var (
	space = []byte(" ")
	http1 = []byte("HTTP/1.")
)

// methodName returns a method, without an allocation if it is a usual one.
func methodName(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	}
	return string(b)
}

// pathOf returns the path of a request target. Only the absolute form has a
// scheme; in a query it is a part of the query.
func pathOf(target []byte) []byte {
	if len(target) > 0 && target[0] != '/' {
		if _, after, absolute := bytes.Cut(target, []byte("://")); absolute {
			i := bytes.IndexAny(after, "/?")
			if i < 0 {
				return []byte("/")
			}
			target = after[i:]
		}
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	return path
}

func (o *observer) responseHead(line, fields []byte) (bodyKind, int64) {
	version, rest, ok := bytes.Cut(line, space)
	code, _, _ := bytes.Cut(rest, space)
	status, err := strconv.Atoi(string(code))
	if !ok || err != nil || !bytes.HasPrefix(version, http1) || status < 100 || status > 999 {
		return notUnderstood, 0
	}
	if status < 200 && status != 101 {
		return interim, 0
	}
	if !o.begin() {
		return notUnderstood, 0
	}
	o.status = status
	switch {
	case status == 101: // what follows is another protocol
		o.responseEnd()
		return notUnderstood, 0
	case o.current.method == "HEAD", status == 204, status == 304:
		return noBody, 0
	}
	return bodyOf(fields)
}

func (o *observer) responseEnd() {
	o.open.Add(-1)
	if o.done != nil {
		o.done(o.current.method, o.current.path, o.status, time.Since(o.current.start))
	}
}

// bodyKind says how the end of a message is found. The kinds up to untilEnd
// are states of the scanner as well.
type bodyKind int

const (
	inHead bodyKind = iota
	counted
	chunkSize
	chunkData
	chunkEnd
	trailers
	untilEnd

	noBody
	interim
	notUnderstood
)

// bodyOf finds the framing in a head's fields (RFC 9112, 6).
func bodyOf(fields []byte) (bodyKind, int64) {
	kind, length := untilEnd, int64(0)
	for len(fields) > 0 {
		var line []byte
		line, fields = cutLine(fields)
		switch name := bytes.IndexByte(line, ':'); {
		case name == len(transferEncoding) && bytes.EqualFold(line[:name], transferEncoding):
			if !bytes.EqualFold(bytes.TrimSpace(line[name+1:]), []byte("chunked")) {
				return notUnderstood, 0
			}
			kind = chunkSize
		case name == len(contentLength) && kind != chunkSize && bytes.EqualFold(line[:name], contentLength):
			n, err := strconv.ParseInt(string(bytes.TrimSpace(line[name+1:])), 10, 64)
			if err != nil || n < 0 {
				return notUnderstood, 0
			}
			kind, length = counted, n
		}
	}
	if kind == counted && length == 0 {
		return noBody, 0
	}
	return kind, length
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
)

// cutLine returns what stands before the first CRLF, and what behind it. It
// looks for the LF, which is in a head as often as the CR, but half as far to
// find.
func cutLine(b []byte) (line, rest []byte) {
	if i := crlf(b, 0); i >= 0 {
		return b[:i], b[i+2:]
	}
	return b, nil
}

// crlf returns the index of the first CRLF in b[from:], or -1.
func crlf(b []byte, from int) int {
	for i := from; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return -1
		}
		if i += n; i > from && b[i-1] == '\r' {
			return i - 1
		}
		i++
	}
}

// emptyLine returns the index of the first CRLF in b[from:] that another one
// follows, or -1.
func emptyLine(b []byte, from int) int {
	for {
		i := crlf(b, from)
		if i < 0 {
			return -1
		}
		if rest := b[i+2:]; len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n' {
			return i
		}
		from = i + 2
	}
}

// scanner finds heads and ends of the messages in one direction.
type scanner struct {
	head func(line, fields []byte) (bodyKind, int64)
	end  func()

	state bodyKind
	left  int64  // of a counted body or chunk
	buf   []byte // of a head or line that came in pieces
}

// feed takes the next bytes; it reports false when it does not understand.
func (s *scanner) feed(p []byte) bool {
	for len(p) > 0 {
		switch s.state {
		case counted, chunkData:
			n := min(s.left, int64(len(p)))
			s.left, p = s.left-n, p[n:]
			if s.left > 0 {
				return true
			}
			if s.state == chunkData {
				s.state = chunkEnd
				continue
			}
			s.state = inHead
			s.end()
		case untilEnd:
			return true
		case inHead:
			head, rest, ok := s.upTo(p, emptyLine, 4)
			if !ok || head == nil {
				return ok
			}
			p = rest
			if !s.message(head) {
				return false
			}
		default:
			line, rest, ok := s.upTo(p, crlf, 2)
			if !ok || line == nil {
				return ok
			}
			p = rest
			if !s.line(line) {
				return false
			}
		}
	}
	return true
}

// upTo returns the bytes before the next mark, which find finds and which has
// size bytes, joined with what came earlier, and what is behind it; nil if the
// mark has not come yet.
func (s *scanner) upTo(p []byte, find func(b []byte, from int) int, size int) (before, rest []byte, ok bool) {
	if len(s.buf) == 0 {
		if i := find(p, 0); i >= 0 {
			return p[:i:i], p[i+size:], true
		}
		s.buf = append(s.buf, p...)
		return nil, nil, len(s.buf) <= maxHeadSeen
	}
	old := len(s.buf)
	s.buf = append(s.buf, p...)
	i := find(s.buf, max(0, old-size+1))
	if i < 0 {
		return nil, nil, len(s.buf) <= maxHeadSeen
	}
	before = s.buf[:i:i]
	rest = p[i+size-old:]
	s.buf = nil
	return before, rest, true
}

// message takes a whole head.
func (s *scanner) message(head []byte) bool {
	for len(head) > 0 && (head[0] == '\r' || head[0] == '\n') {
		head = head[1:]
	}
	line, fields := cutLine(head)
	kind, n := s.head(line, fields)
	switch kind {
	case notUnderstood:
		return false
	case interim:
		s.state = inHead
	case noBody:
		s.state = inHead
		s.end()
	default:
		s.state, s.left = kind, n
	}
	return true
}

// line takes a line between chunks.
func (s *scanner) line(line []byte) bool {
	switch s.state {
	case chunkEnd:
		s.state = chunkSize
		return len(line) == 0
	case trailers:
		if len(line) == 0 {
			s.state = inHead
			s.end()
		}
		return true
	default:
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
	if err != nil || n < 0 {
		return false
	}
	s.state, s.left = chunkData, n
	if n == 0 {
		s.state = trailers
	}
	return true
}
