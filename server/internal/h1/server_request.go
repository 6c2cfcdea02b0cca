package h1

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// incoming is a request with what it needs of its own, in one piece.
type incoming struct {
	http.Request
	url  url.URL
	body incomingBody
}

// requestEnd looks for the empty line that ends a head in b, starting at from.
// end is the index behind it, 0 if it has not come; then next is where to go
// on. It is not ok when a line ends without a carriage return, or the first
// one is no request line.
func requestEnd(b []byte, from int) (end, next int, ok bool) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, from, true
		}
		i += from
		if i == 0 || b[i-1] != '\r' {
			return 0, 0, false
		}
		switch {
		case from == 0:
			if !bytes.HasSuffix(b[:i-1], []byte(" HTTP/1.1")) {
				return 0, 0, false
			}
		case i == from+1:
			return i + 1, 0, true
		}
		from = i + 1
	}
}

// parse makes a request of a head, nil if it is unusual.
func (c *serverConn) parse(head []byte) *incoming {
	if len(head) == 0 {
		return nil
	}
	line, fields := cutLine(string(head))
	line, ok := strings.CutSuffix(line, " HTTP/1.1")
	method, target, cut := strings.Cut(line, " ")
	if !ok || !cut || !plainMethod(method) || !plainTarget(target) {
		return nil
	}
	h, err := parseFields(fields, strings.Count(fields, "\n")-1, serverHead)
	if err != nil {
		return nil
	}
	req := &incoming{Request: c.base}
	req.Method, req.RequestURI, req.Header = method, target, h
	if req.url, ok = parseTarget(target); !ok || !req.frame() {
		return nil
	}
	req.URL, req.Body = &req.url, http.NoBody
	if req.ContentLength > 0 {
		req.body = incomingBody{c: c, left: req.ContentLength}
		req.Body = &req.body
	} else {
		req.body.done.Store(true)
	}
	return req
}

// frame takes over what the fields say about the message, and reports whether
// that is nothing unusual.
func (req *incoming) frame() bool {
	h := req.Header
	for _, name := range [...]string{"Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Te", "Http2-Settings"} {
		if _, there := h[name]; there {
			return false
		}
	}
	host := h["Host"]
	if len(host) != 1 || !plainHost(host[0]) {
		return false
	}
	req.Host = host[0]
	delete(h, "Host")
	if v, there := h["Connection"]; there {
		req.Close = strings.EqualFold(v[0], "close")
		if len(v) != 1 || !req.Close && !strings.EqualFold(v[0], "keep-alive") {
			return false
		}
	}
	if v, there := h["Content-Length"]; there {
		n, err := strconv.ParseInt(v[0], 10, 64)
		if len(v) != 1 || !digits(v[0]) || err != nil {
			return false
		}
		req.ContentLength = n
	}
	return true
}

// plainMethod reports whether s is a method in capitals that asks for nothing
// but a message in return.
func plainMethod(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != "" && s != http.MethodConnect
}

// plainHost reports whether s has nothing but what names, numbers and a port
// are made of.
func plainHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == ':', c == '_', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}

// plainTarget reports whether s is a path, perhaps with a query, in ASCII.
func plainTarget(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

// parseTarget is url.ParseRequestURI, which it only calls for paths whose
// escapes it would have to judge.
func parseTarget(s string) (url.URL, bool) {
	path, query, asked := strings.Cut(s, "?")
	for i := range len(path) {
		if !pathBytes[path[i]] {
			u, err := url.ParseRequestURI(s)
			if err != nil {
				return url.URL{}, false
			}
			return *u, true
		}
	}
	return url.URL{Path: path, RawQuery: query, ForceQuery: asked && query == ""}, true
}

// pathBytes are those that net/url leaves in a path as they are, both ways.
var pathBytes = func() (t [256]bool) {
	for _, c := range []byte("-_.~$&+,/:;=@0123456789") {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	return t
}()

// incomingBody is the body of a request. One goroutine reads it at a time.
type incomingBody struct {
	c    *serverConn
	left int64
	// done is set when nothing of it is left on the connection.
	done atomic.Bool
}

// Read reads on in the body. io.EOF comes with its last bytes.
func (b *incomingBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.readBody(p)
	if b.left -= int64(n); b.left == 0 {
		b.done.Store(true)
		return n, io.EOF
	}
	if err == io.EOF { //nolint:errorlint // only the bare value is replaced
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close does nothing: what is left of the body ends the connection.
func (b *incomingBody) Close() error { return nil }

// readBody gives out what came with the head before anything new.
func (c *serverConn) readBody(p []byte) (int, error) {
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		return n, nil
	}
	return c.nc.Read(p)
}
