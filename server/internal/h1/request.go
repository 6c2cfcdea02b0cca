package h1

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Request is what RoundTrip sends. It is a type of its own because the edge
// knows the target's exact bytes, which a *url.URL would not keep, and because
// framing fields are decided here alone.
type Request struct {
	// Method, Target and Host make the request line and the Host field. Target
	// is written as it is: a path with query, or "*".
	Method, Target, Host string
	// Header is only read. Host, Content-Length, Transfer-Encoding, Trailer,
	// Connection, Upgrade, Expect, Keep-Alive and Proxy-Connection in it are
	// ignored.
	Header http.Header

	// Body is nil when there is none. A body of ContentLength up to 8 KiB is
	// read before anything is sent, unless Expect is set; any other is sent
	// while the response is read. ContentLength is -1 when unknown: the body
	// is then sent in chunks.
	Body          io.Reader
	ContentLength int64
	// Trailer's keys are announced, and its values read once Body has ended.
	// Fields that may not stand in a trailer must not be in it.
	Trailer http.Header
	// StopBody, if set, makes a pending or later Read of Body return soon. It
	// is called when the rest of the body is of no use any more, and may be
	// called more than once.
	StopBody func()

	// Expect sends Expect: 100-continue and holds the body back until the
	// server asks for it.
	Expect bool
	// Upgrade is the token of a protocol switch, such as "websocket"; empty
	// for none. A request with Upgrade has no body.
	Upgrade string
	// Close asks the server to close the connection after its response.
	Close bool
	// Prefix is sent before the request line, such as a PROXY header.
	Prefix []byte
	// Interim, if set, is told of each 1xx response but 100 and 101.
	Interim Interim
	// Response, if set, becomes the Header of the final response: its fields
	// are put there, and what it had before is gone.
	Response http.Header
}

// Interim is told of interim responses.
type Interim interface {
	// Interim is called for one of them, before RoundTrip returns.
	Interim(code int, h http.Header)
}

// ignored lists the fields of Request.Header that RoundTrip writes itself or
// not at all.
func ignored(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection",
		"Upgrade", "Expect", "Keep-Alive", "Proxy-Connection":
		return true
	}
	return false
}

// appendHead writes prefix and head.
func (r *Request) appendHead(b []byte) ([]byte, error) {
	if err := r.check(); err != nil {
		return b, &Error{Kind: Invalid, Err: err}
	}
	b = append(b, r.Prefix...)
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	for name, values := range r.Header {
		if ignored(name) {
			continue
		}
		if !validName(name) {
			return b, &Error{Kind: Invalid, Err: fmt.Errorf("header name %.40q", name)}
		}
		for _, v := range values {
			if !validValue(v) {
				return b, &Error{Kind: Invalid, Err: fmt.Errorf("control byte in value of %s", name)}
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	return append(r.appendFraming(b), "\r\n"...), nil
}

// check refuses what would not survive as one request line.
func (r *Request) check() error {
	switch {
	case !validName(r.Method):
		return fmt.Errorf("method %.40q", r.Method)
	case !plain(r.Target) || r.Target == "":
		return fmt.Errorf("target %.40q", r.Target)
	case !plain(r.Host):
		return fmt.Errorf("host %.40q", r.Host)
	case r.Upgrade != "" && (r.hasBody() || !validName(strings.ReplaceAll(r.Upgrade, "/", "."))):
		return fmt.Errorf("upgrade %.40q", r.Upgrade)
	}
	return nil
}

// plain reports whether s has neither white space nor control bytes.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// appendFraming writes the fields that belong to this hop.
func (r *Request) appendFraming(b []byte) []byte {
	switch {
	case r.hasBody() && r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(r.Trailer) > 0 {
			b = append(b, "Trailer: "...)
			for i, name := range slices.Sorted(maps.Keys(r.Trailer)) {
				if i > 0 {
					b = append(b, ", "...)
				}
				b = append(b, name...)
			}
			b = append(b, "\r\n"...)
		}
	case r.ContentLength > 0 || r.ContentLength == 0 && sendsLength(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	if r.Expect && r.hasBody() {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	switch {
	case r.Upgrade != "":
		b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
		b = append(b, r.Upgrade...)
		b = append(b, "\r\n"...)
	case r.Close:
		b = append(b, "Connection: close\r\n"...)
	}
	return b
}

// hasBody reports whether bytes of a body follow the head.
func (r *Request) hasBody() bool { return r.Body != nil && r.ContentLength != 0 }

// inlines reports whether the body is read before anything is sent.
func (r *Request) inlines() bool {
	return r.hasBody() && r.ContentLength > 0 && r.ContentLength <= inlineBody && !r.Expect
}

// sendsLength reports whether an empty body of this method is announced
// (RFC 9110 8.6).
func sendsLength(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// appendTrailer writes the last chunk with the trailer fields that have got
// values, and the end of the body.
func (r *Request) appendTrailer(b []byte) []byte {
	b = append(b, "0\r\n"...)
	for name, values := range r.Trailer {
		for _, v := range values {
			if !validName(name) || !validValue(v) {
				continue
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

var errShortBody = errors.New("shorter than its announced length")
