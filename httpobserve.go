package culvert

import (
	"bytes"
	"strconv"
	"strings"
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
// stop looking.
type observer struct {
	done func(method, path string, status int, d time.Duration)
	off  atomic.Bool
	open atomic.Int32 // requests whose response has not ended

	requests, responses scanner

	mu      sync.Mutex
	pending []seenRequest // requests whose response has not begun
	current seenRequest   // the request whose response is under way
	status  int
}

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
	method, rest, ok := strings.Cut(string(line), " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(version, "HTTP/1.") || method == "CONNECT" {
		return notUnderstood, 0
	}
	if _, after, absolute := strings.Cut(target, "://"); absolute {
		if i := strings.IndexAny(after, "/?"); i >= 0 {
			target = after[i:]
		} else {
			target = "/"
		}
	}
	path, _, _ := strings.Cut(target, "?")
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) >= maxPipelined {
		return notUnderstood, 0
	}
	o.pending = append(o.pending, seenRequest{method, path, time.Now()})
	o.open.Add(1)
	kind, n := bodyOf(fields)
	if kind == untilEnd { // a request without a length has no body
		kind = noBody
	}
	return kind, n
}

func (o *observer) responseHead(line, fields []byte) (bodyKind, int64) {
	version, rest, ok := strings.Cut(string(line), " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if !ok || err != nil || !strings.HasPrefix(version, "HTTP/1.") || status < 100 || status > 999 {
		return notUnderstood, 0
	}
	if status < 200 && status != 101 {
		return interim, 0
	}
	o.mu.Lock()
	if len(o.pending) == 0 {
		o.mu.Unlock()
		return notUnderstood, 0
	}
	o.current, o.pending, o.status = o.pending[0], o.pending[1:], status
	method := o.current.method
	o.mu.Unlock()
	switch {
	case status == 101: // what follows is another protocol
		o.responseEnd()
		return notUnderstood, 0
	case method == "HEAD", status == 204, status == 304:
		return noBody, 0
	}
	return bodyOf(fields)
}

func (o *observer) responseEnd() {
	o.mu.Lock()
	r, status := o.current, o.status
	o.mu.Unlock()
	o.open.Add(-1)
	o.done(r.method, r.path, status, time.Since(r.start))
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
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch value = bytes.TrimSpace(value); {
		case len(name) == len("transfer-encoding") && strings.EqualFold(string(name), "transfer-encoding"):
			if !strings.EqualFold(string(value), "chunked") {
				return notUnderstood, 0
			}
			kind = chunkSize
		case kind != chunkSize && len(name) == len("content-length") && strings.EqualFold(string(name), "content-length"):
			n, err := strconv.ParseInt(string(value), 10, 64)
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
			head, rest, ok := s.upTo(p, "\r\n\r\n")
			if !ok || head == nil {
				return ok
			}
			p = rest
			if !s.message(head) {
				return false
			}
		default:
			line, rest, ok := s.upTo(p, "\r\n")
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

// upTo returns the bytes before the next mark, joined with what came earlier,
// and what is behind it; nil if the mark has not come yet.
func (s *scanner) upTo(p []byte, mark string) (before, rest []byte, ok bool) {
	if len(s.buf) == 0 {
		if i := bytes.Index(p, []byte(mark)); i >= 0 {
			return p[:i:i], p[i+len(mark):], true
		}
		s.buf = append(s.buf, p...)
		return nil, nil, len(s.buf) <= maxHeadSeen
	}
	old := len(s.buf)
	s.buf = append(s.buf, p...)
	from := max(0, old-len(mark)+1)
	i := bytes.Index(s.buf[from:], []byte(mark))
	if i < 0 {
		return nil, nil, len(s.buf) <= maxHeadSeen
	}
	before = s.buf[: from+i : from+i]
	rest = p[from+i+len(mark)-old:]
	s.buf = nil
	return before, rest, true
}

// message takes a whole head.
func (s *scanner) message(head []byte) bool {
	line, fields, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\r\n"))
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
