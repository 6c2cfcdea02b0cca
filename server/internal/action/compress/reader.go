package compress

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// codings are those there are, the preferred first.
var codings = []string{"gzip", "deflate", "br", "compress"}

// encoder compresses into a writer.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// pools keep encoders, which are large.
var pools = map[string]*sync.Pool{
	"gzip":    {New: func() any { return gzip.NewWriter(nil) }},
	"deflate": {New: func() any { return zlib.NewWriter(nil) }},
	// The levels above cost much more time for little on text that is
	// compressed once.
	"br":       {New: func() any { return brotli.NewWriterLevel(nil, 4) }},
	"compress": {New: func() any { return &lzw{} }},
}

// chunk is how much of a body is read at once.
const chunk = 32 << 10

var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// reader gives a body compressed. It reads on only when what it has is gone.
type reader struct {
	body   io.ReadCloser
	coding string
	left   int64 // of the body, if its length is known, else negative

	mu  sync.Mutex // a body may be closed while it is read
	enc encoder
	in  *[chunk]byte
	out bytes.Buffer
	err error // that of the body, once out is gone
}

func newReader(body io.ReadCloser, length int64, coding string) *reader {
	return &reader{body: body, left: length, coding: coding}
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.out.Len() == 0 && r.err == nil {
		r.fill()
	}
	if r.out.Len() == 0 {
		return 0, r.err
	}
	return r.out.Read(p)
}

// fill reads once and compresses what came. If there was room for more, it was
// all that there is for now, and it is flushed, unless it is the end.
func (r *reader) fill() {
	if r.enc == nil {
		r.enc, _ = pools[r.coding].Get().(encoder) //nolint:errcheck // made above
		r.enc.Reset(&r.out)
		r.in, _ = buffers.Get().(*[chunk]byte) //nolint:errcheck // as above
		// Text comes to a quarter or less, and growing step by step copies.
		r.out.Grow(int(min(max(r.left, 0), chunk)/4) + 256)
	}
	n, err := r.body.Read(r.in[:])
	r.left -= int64(n)
	if n > 0 {
		_, r.err = r.enc.Write(r.in[:n])
	}
	switch {
	case r.err != nil:
	case err == io.EOF: //nolint:errorlint // as io.Reader says
		if r.err = r.enc.Close(); r.err == nil {
			r.err = io.EOF
		}
		r.release()
	case err != nil: // the end is not reached, and must not look like it
		r.err = err
		r.release()
	case n > 0 && n < len(r.in) && r.left != 0:
		r.err = r.enc.Flush()
	}
}

func (r *reader) release() {
	if r.enc != nil {
		r.enc.Reset(io.Discard)
		pools[r.coding].Put(r.enc)
		buffers.Put(r.in)
		r.enc, r.in = nil, nil
	}
}

// Close implements io.Closer. It ends a Read.
func (r *reader) Close() error {
	err := r.body.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	r.release()
	return err
}
