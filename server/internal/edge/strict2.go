package edge

import (
	"net/http"
	"strconv"
	"strings"
)

// consistent2 reports whether the head of an HTTP/2 request agrees with itself.
// net/http lets through what RFC 9113 calls malformed: a Host field that names
// another host than :authority (8.3.1), and a Content-Length that is repeated
// with another value, is no number, or stands on a request without a body
// (8.1.1). Neither may reach an upstream, which could believe either (T02).
func consistent2(r *http.Request) bool {
	for _, host := range r.Header["Host"] {
		if !strings.EqualFold(host, r.Host) {
			return false
		}
	}
	lengths := r.Header["Content-Length"]
	for _, v := range lengths {
		if v != lengths[0] || strings.Trim(v, "0123456789") != "" {
			return false
		}
		// The length is 0 for a request that ended with its head.
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n != r.ContentLength {
			return false
		}
	}
	return true
}
