package h1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// incomingBody is the body of a request. One goroutine reads it at a time.
type incomingBody struct {
	c   *serverConn
	req *incoming // for the trailer section

	reading sync.Mutex // held while it is read, which c must outlast
	left    int64      // of a body of known length
	chunked bool
	chunks  chunks
	err     error // of an earlier Read

	mu sync.Mutex // held while a head is written
	// expected says that the client waits for 100 before it sends the body.
	expected bool

	// done is set when nothing of it is left on the connection.
	done atomic.Bool
}

// Read reads on in the body. io.EOF comes with the last bytes of one of known
// length.
func (b *incomingBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.done.Load():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.read(p)
	if b.err = err; err == nil || b.done.Load() {
		return n, err
	}
	if KindOf(err) == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
		b.c.cancel() // the client has gone
	}
	if err == io.EOF { //nolint:errorlint // only the bare value is replaced
		b.err = io.ErrUnexpectedEOF
	}
	return n, b.err
}

// end makes Read fail, and waits for one that is under way: what it reads into
// may soon be somebody else's. It reports whether the body had ended before.
func (b *incomingBody) end() bool {
	if b.done.Load() {
		return true
	}
	_ = b.c.nc.SetReadDeadline(aLongTimeAgo) // if it fails so does a Read
	b.reading.Lock()
	defer b.reading.Unlock()
	b.err = http.ErrBodyReadAfterClose
	return false
}

func (b *incomingBody) read(p []byte) (int, error) {
	if err := b.goOn(); err != nil {
		return 0, err
	}
	if b.chunked {
		return b.readChunk(p)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.readBody(p)
	if b.left -= int64(n); b.left == 0 {
		b.done.Store(true)
		return n, io.EOF
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// goOn tells a client that waits for it to send the body, unless it has an
// answer already.
func (b *incomingBody) goOn() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.expected {
		return nil
	}
	b.expected = false
	_, err := io.WriteString(b.c.nc, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// readChunk reads on in a chunk.
func (b *incomingBody) readChunk(p []byte) (int, error) {
	c := b.c
	for {
		used, more, err := b.chunks.step(c.buf[c.r:c.w])
		c.r += used
		switch {
		case err != nil:
			return 0, err
		case more:
			if err := c.fillBody(2 * maxChunkLine); err != nil {
				return 0, err
			}
			continue
		case b.chunks.state == chunkTrailer:
			return 0, b.readTrailer()
		}
		if int64(len(p)) > b.chunks.left {
			p = p[:b.chunks.left]
		}
		if c.r == c.w && len(p) < serverBuffer {
			// What frames a small chunk comes with it.
			if err := c.fillBody(serverBuffer); err != nil {
				return 0, err
			}
		}
		n, err := c.readBody(p)
		if b.chunks.left -= int64(n); b.chunks.left == 0 {
			b.chunks.state = chunkDataEnd
		}
		if n > 0 {
			err = nil
		}
		return n, err
	}
}

// readTrailer reads the trailer section, and returns io.EOF behind it. Fields
// that were not announced are dropped.
func (b *incomingBody) readTrailer() error {
	c := b.c
	for {
		text := c.buf[c.r:c.w]
		end := trailerEnd(text)
		if end < 0 {
			if len(text) > c.s.MaxTrailer {
				return protocolError("trailer section longer than %d bytes", c.s.MaxTrailer)
			}
			if err := c.fillBody(c.s.MaxTrailer + serverBuffer); err != nil {
				return err
			}
			continue
		}
		if end > c.s.MaxTrailer || bytes.Count(text[:end], []byte("\n")) != bytes.Count(text[:end], []byte("\r\n")) {
			return protocolError("malformed trailer section")
		}
		if end > 2 {
			s := string(text[:end])
			h, err := parseFields(s, strings.Count(s, "\n")-1, c.s.MaxTrailerFields)
			if err != nil {
				return err
			}
			for name := range b.req.Trailer {
				b.req.Trailer[name] = h[name]
			}
		}
		c.take(end)
		b.done.Store(true)
		return io.EOF
	}
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

// fillBody reads more bytes into the buffer, which holds at most limit.
func (c *serverConn) fillBody(limit int) error {
	if !c.room(limit) {
		return protocolError("more than %d bytes of framing", limit)
	}
	return c.read()
}
