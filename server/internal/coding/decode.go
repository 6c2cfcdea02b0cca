package coding

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
)

// ErrTooLarge means that a decoded body is larger than allowed.
var ErrTooLarge = errors.New("the decoded body is too large")

// maxCodings is how many codings of one body are taken off.
const maxCodings = 3

// Of returns the codings of a message in the order in which they were applied,
// in lower case, without identity and with x-gzip as gzip. known is false if
// one of them is none of gzip, deflate and br, or if there are too many.
func Of(h http.Header) (codings []string, known bool) {
	known = true
	for _, list := range h["Content-Encoding"] {
		for c := range strings.SplitSeq(list, ",") {
			switch c = strings.ToLower(strings.Trim(c, " \t")); c {
			case "", "identity":
				continue
			case "x-gzip":
				c = "gzip"
			case "gzip", "deflate", "br":
			default:
				known = false
			}
			codings = append(codings, c)
		}
	}
	return codings, known && len(codings) <= maxCodings
}

// NewReader returns a reader of the content behind codings as [Of] returns
// them. The size of what it gives is not bounded.
func NewReader(r io.Reader, codings []string) (io.Reader, error) {
	for i := len(codings) - 1; i >= 0; i-- {
		var err error
		if r, err = decoder(r, codings[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", codings[i], err)
		}
	}
	return r, nil
}

func decoder(r io.Reader, name string) (io.Reader, error) {
	switch name {
	case "gzip":
		return gzip.NewReader(r)
	case "br":
		return brotli.NewReader(r), nil
	case "deflate":
		// The name means the zlib format; some send it without its head.
		b := bufio.NewReader(r)
		if head, err := b.Peek(2); err == nil && (head[0]&0x0f != 8 || (int(head[0])<<8|int(head[1]))%31 != 0) {
			return flate.NewReader(b), nil
		}
		return zlib.NewReader(b)
	}
	return nil, errors.New("unknown coding")
}

// A body of more than freeSize bytes may be at most maxRatio times as large as
// its coded form: what is larger is made to fill memory (T72).
const (
	maxRatio = 100
	freeSize = 1 << 20
)

// Decode returns the content of a body with codings as [Of] returns them. It
// fails with ErrTooLarge as soon as the content has more than limit bytes, or
// is out of all proportion to its coded form.
func Decode(body io.Reader, codings []string, limit int) ([]byte, error) {
	coded := &counter{Reader: body}
	r, err := NewReader(coded, codings)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(&bounded{Reader: r, coded: coded}, int64(limit)+1))
	if len(content) > limit {
		return nil, ErrTooLarge
	}
	return content, err
}

// counter counts what is read.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// bounded keeps content in proportion to its coded form.
type bounded struct {
	io.Reader
	coded *counter
	n     int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.n += int64(n); b.n > freeSize && b.n > maxRatio*b.coded.n {
		return 0, ErrTooLarge
	}
	return n, err
}
