package policy

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// NewResponse returns an answer to a request with a body and its length, and
// no other header.
func NewResponse(r *http.Request, status int, body string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Request: r,
	}
	SetBody(resp, []byte(body))
	return resp
}

// SetBody gives a response another body, and its length.
func SetBody(resp *http.Response, body []byte) {
	if resp.Body != nil {
		_ = resp.Body.Close() // it is not wanted any more
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.Header.Del("Transfer-Encoding")
	if !BodyAllowed(resp.StatusCode) {
		resp.Header.Del("Content-Length")
		resp.ContentLength = 0
	}
}

// BodyAllowed reports whether a response with this status may have a body (RFC
// 9110 15).
func BodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// cutDot cuts at the first dot.
func cutDot(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, ".")
	return first, rest
}
