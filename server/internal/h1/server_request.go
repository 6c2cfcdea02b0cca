package h1

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// incoming is a request with what it needs of its own, in one piece.
type incoming struct {
	http.Request
	url  url.URL
	body incomingBody
}

// requestEnd looks for the empty line that ends a head in b, starting at from.
// end is the index behind it, 0 if it has not come; then next is where to go
// on. It is not ok when the first line is no request line of HTTP/1.
func requestEnd(b []byte, from int) (end, next int, ok bool) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, from, true
		}
		line := bytes.TrimSuffix(b[from:from+i], []byte("\r"))
		switch {
		case from == 0:
			if !bytes.HasSuffix(line, []byte(" HTTP/1.1")) && !bytes.HasSuffix(line, []byte(" HTTP/1.0")) {
				return 0, 0, false
			}
		case len(line) == 0:
			return from + i + 1, 0, true
		}
		from += i + 1
	}
}

// parse makes a request of a head, nil if it is unusual. With a reason it is to
// be refused.
func (c *serverConn) parse(head []byte) (req *incoming, why string) {
	if len(head) == 0 {
		return nil, ""
	}
	line, h, err := c.parseLines(string(head))
	folded := errors.Is(err, errFolded)
	if folded {
		line, h, err = c.parseLines(string(unfold(head)))
	}
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	if err != nil || !plainMethod(method) {
		return nil, ""
	}
	req = &incoming{Request: c.base}
	req.Method, req.RequestURI, req.Header = method, target, h
	req.URL, req.Body = &req.url, http.NoBody
	req.body.c, req.body.req = c, req
	if why = ambiguous(target, proto, h, folded); why != "" {
		req.Host = strings.Join(h["Host"], ", ")
		return req, why
	}
	var ok bool
	if proto != "HTTP/1.1" || folded || bareLF(head) || !plainTarget(target) {
		return nil, ""
	}
	if req.url, ok = parseTarget(target); !ok || !req.frame() {
		return nil, ""
	}
	if req.ContentLength != 0 {
		req.Body = &req.body
		req.body.left, req.body.chunked = max(req.ContentLength, 0), req.ContentLength < 0
	} else {
		req.body.done.Store(true)
	}
	return req, ""
}

// bareLF reports whether a line of a head ends without a carriage return. There
// are none elsewhere in what could be parsed.
func bareLF(head []byte) bool {
	return bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r"))
}

// parseLines takes a head apart.
func (c *serverConn) parseLines(head string) (line string, h http.Header, err error) {
	line, fields := cutLine(head)
	h, err = parseFields(fields, strings.Count(fields, "\n")-1, c.s.MaxFields)
	return line, h, err
}

// ambiguous tells why a head may mean different messages to different readers
// (reliability-security.md 4: H01, H06, H07, H17), "" if it does not.
func ambiguous(target, proto string, h http.Header, folded bool) string {
	if coding, there := h["Transfer-Encoding"]; there {
		switch {
		case len(h["Content-Length"]) > 0:
			return "it has both a Content-Length and a Transfer-Encoding"
		case proto == "HTTP/1.0":
			return "HTTP/1.0 knows no Transfer-Encoding"
		case folded:
			return "a field is folded beside a Transfer-Encoding"
		case len(coding) > 1:
			return "it has more than one Transfer-Encoding"
		}
	}
	if scheme, rest, absolute := strings.Cut(target, "://"); absolute && target[0] != '/' {
		host := rest
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			host = rest[:i]
		}
		if v := h["Host"]; len(v) == 1 && !sameHost(scheme, v[0], host) {
			return "its target names another host than its Host field"
		}
	}
	return ""
}

// sameHost reports whether two hosts, perhaps with ports, are the same one.
func sameHost(scheme, a, b string) bool {
	port := ":80"
	if strings.EqualFold(scheme, "https") {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}

// frame takes over what the fields say about the message, and reports whether
// that is nothing unusual.
func (req *incoming) frame() bool {
	h := req.Header
	if hasToken(h["Upgrade"], "websocket") {
		return false // nobody switches to anything else
	}
	host := h["Host"]
	if len(host) != 1 || !plainHost(host[0]) {
		return false
	}
	req.Host = host[0]
	delete(h, "Host")
	for option := range listed(h["Connection"]) {
		switch {
		case strings.EqualFold(option, "close"):
			req.Close = true
		case !plainOption(option):
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
	if v, there := h["Transfer-Encoding"]; there {
		if v[0] != "chunked" {
			return false
		}
		delete(h, "Transfer-Encoding")
		req.ContentLength, req.TransferEncoding = -1, v
	}
	if v, there := h["Expect"]; there {
		if len(v) != 1 || !strings.EqualFold(v[0], "100-continue") {
			return false
		}
		req.body.expected = req.ContentLength != 0
	}
	return req.announce()
}

// plainOption reports whether an option of a connection says nothing about
// fields that could matter.
func plainOption(s string) bool {
	return strings.EqualFold(s, "keep-alive") || strings.EqualFold(s, "te") ||
		strings.EqualFold(s, "upgrade") || strings.EqualFold(s, "http2-settings")
}

// announce moves the Trailer field into the request's Trailer.
func (req *incoming) announce() bool {
	names, there := req.Header["Trailer"]
	if !there {
		return true
	}
	if req.ContentLength >= 0 {
		return false
	}
	req.Trailer = make(http.Header)
	for name := range listed(names) {
		name, ok := canonicalName(name)
		if !ok || name == "Transfer-Encoding" || name == "Content-Length" || name == "Trailer" {
			return false
		}
		req.Trailer[name] = nil
	}
	delete(req.Header, "Trailer")
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
