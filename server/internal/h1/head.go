package h1

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// headEnd looks for the empty line that ends a head in b, starting at from. It
// returns the index after that line, or -1 and where to go on searching when
// more bytes have come. Lines end in CRLF or, tolerated, in LF.
func headEnd(b []byte, from int) (end, next int) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1, from
		}
		line := from + i + 1
		rest := b[line:]
		switch {
		case len(rest) >= 1 && rest[0] == '\n':
			return line + 1, 0
		case len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n':
			return line + 2, 0
		case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
			return -1, from + i
		}
		from = line
	}
}

// statusLine is the parsed first line of a response.
type statusLine struct {
	minor  int
	code   int
	status string // "200 OK"
}

// parseStatusLine parses s, which has no line end.
func parseStatusLine(s string) (l statusLine, err error) {
	const prefix = "HTTP/1."
	if len(s) < len("HTTP/1.1 200") || s[:len(prefix)] != prefix || s[8] != ' ' {
		return l, protocolError("malformed status line %.40q", s)
	}
	switch s[7] {
	case '0', '1':
		l.minor = int(s[7] - '0')
	default:
		return l, protocolError("unsupported version %.8q", s)
	}
	for i := 9; i < 12; i++ {
		if s[i] < '0' || s[i] > '9' {
			return l, protocolError("malformed status %.40q", s)
		}
		l.code = l.code*10 + int(s[i]-'0')
	}
	if l.code < 100 || len(s) > 12 && s[12] != ' ' {
		return l, protocolError("malformed status %.40q", s)
	}
	if !validValue(s) {
		return l, protocolError("control byte in status line")
	}
	l.status = s[9:]
	return l, nil
}

// parseHead parses a whole response head including its empty line. All values
// share one string and one backing array. The fields of a final one are put
// into final unless that is nil.
func parseHead(b []byte, maxFields int, final http.Header) (statusLine, http.Header, error) {
	l, h, err := parseText(string(b), maxFields, final)
	if !errors.Is(err, errFolded) {
		return l, h, err
	}
	l, h, err = parseText(string(unfold(b)), maxFields, final)
	if errors.Is(err, errFolded) {
		return l, nil, protocolError("fold behind the status line")
	}
	if h["Transfer-Encoding"] != nil {
		// Others may read a folded coding differently, and no server needs it.
		return l, nil, protocolError("folded field beside Transfer-Encoding")
	}
	return l, h, err
}

func parseText(s string, maxFields int, final http.Header) (statusLine, http.Header, error) {
	first, rest := cutLine(s)
	l, err := parseStatusLine(first)
	if err != nil {
		return l, nil, err
	}
	if l.code < 200 && l.code != http.StatusSwitchingProtocols {
		final = nil
	}
	n := strings.Count(rest, "\n") - 1
	if final == nil {
		h, err := parseFields(rest, n, maxFields)
		return l, h, err
	}
	clear(final)
	return l, final, addFields(final, rest, n, maxFields)
}

// errFolded says that a field goes on in the next line.
var errFolded error = protocolError("folded field")

// parseFields parses field lines up to and including the empty line. n is
// their number.
func parseFields(s string, n, maxFields int) (http.Header, error) {
	h := make(http.Header, min(n, maxFields))
	if err := addFields(h, s, n, maxFields); err != nil {
		return nil, err
	}
	return h, nil
}

// addFields is parseFields into h.
func addFields(h http.Header, s string, n, maxFields int) error {
	if n > maxFields {
		return protocolError("more than %d header fields", maxFields)
	}
	values := make([]string, 0, n)
	for {
		line, rest := cutLine(s)
		if line == "" {
			return nil
		}
		s = rest
		if line[0] == ' ' || line[0] == '\t' {
			return errFolded
		}
		colon := strings.IndexByte(line, ':')
		if colon < 0 {
			return protocolError("header line without colon")
		}
		name, ok := canonicalName(line[:colon])
		if !ok {
			return protocolError("invalid header name %.40q", line[:colon])
		}
		value := trimOWS(line[colon+1:])
		if !validValue(value) {
			return protocolError("control byte in value of %s", name)
		}
		if have, ok := h[name]; ok {
			h[name] = append(have, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// cutLine returns s up to its first line end and what follows it.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return s, ""
	}
	line, rest = s[:i], s[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// trimOWS removes spaces and tabs at both ends.
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// unfold replaces each fold by spaces, as RFC 9112 5.2 asks of a proxy. A fold
// directly after the status line stays, so that parsing refuses it.
func unfold(b []byte) []byte {
	out := bytes.Clone(b)
	first := bytes.IndexByte(out, '\n')
	for i := first + 1; i < len(out)-1; i++ {
		if out[i] != '\n' || out[i+1] != ' ' && out[i+1] != '\t' {
			continue
		}
		out[i] = ' '
		if out[i-1] == '\r' {
			out[i-1] = ' '
		}
	}
	return out
}

// framing says how the body of a response is delimited (RFC 9112 6.3).
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// frame decides the framing of a final response and takes the fields that
// belong to it out of h, save Content-Length. keep tells whether the
// connection may serve another exchange afterwards.
func frame(method string, l statusLine, h http.Header) (f framing, n int64, keep bool, err error) {
	n, err = contentLength(h)
	if err != nil {
		return 0, 0, false, err
	}
	keep = keepAlive(l, h)
	te, chunked := h["Transfer-Encoding"]
	if chunked {
		if l.minor == 0 {
			return 0, 0, false, protocolError("Transfer-Encoding in an HTTP/1.0 response")
		}
		if len(te) != 1 || !strings.EqualFold(te[0], "chunked") {
			return 0, 0, false, protocolError("unsupported Transfer-Encoding %.40q", strings.Join(te, ", "))
		}
		delete(h, "Transfer-Encoding")
		if n >= 0 {
			delete(h, "Content-Length")
			n, keep = -1, false
		}
	}
	switch {
	case method == http.MethodHead, l.code == http.StatusNotModified:
		return noBody, n, keep, nil
	case l.code == http.StatusNoContent, l.code < 200:
		return noBody, 0, keep, nil
	case chunked:
		return byChunks, -1, keep, nil
	case n == 0:
		return noBody, 0, keep, nil
	case n > 0:
		return byLength, n, keep, nil
	}
	return byClose, -1, false, nil
}

// contentLength returns the value of Content-Length, -1 if there is none.
// Equal repeated fields count as one.
func contentLength(h http.Header) (int64, error) {
	v, ok := h["Content-Length"]
	if !ok {
		return -1, nil
	}
	for _, other := range v[1:] {
		if other != v[0] {
			return 0, protocolError("conflicting Content-Length fields")
		}
	}
	if len(v) > 1 {
		h["Content-Length"] = v[:1:1]
	}
	if !digits(v[0]) {
		return 0, protocolError("invalid Content-Length %.40q", v[0])
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	if err != nil {
		return 0, protocolError("invalid Content-Length %.40q", v[0])
	}
	return n, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// keepAlive tells what the peer says about the connection's future.
func keepAlive(l statusLine, h http.Header) bool {
	v := h["Connection"]
	if l.minor == 0 {
		return hasToken(v, "keep-alive") && !hasToken(v, "close")
	}
	return len(v) == 0 || !hasToken(v, "close")
}

// hasToken reports whether one of the comma-separated lists contains token.
func hasToken(lists []string, token string) bool {
	for _, l := range lists {
		for l != "" {
			var t string
			t, l, _ = strings.Cut(l, ",")
			if strings.EqualFold(trimOWS(t), token) {
				return true
			}
		}
	}
	return false
}
