package h1

import (
	"bytes"
	"io"
	"iter"
	"net/http"
	"runtime"
	"strings"
)

// Read reads the response body. It returns io.EOF with the last bytes where
// it can.
func (x *exchange) Read(p []byte) (int, error) {
	if x.err != nil {
		return 0, x.err
	}
	if x.finished {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	var err error
	switch x.frame {
	case byLength:
		n, err = x.readLength(p)
	case byClose:
		n, err = x.readRaw(p)
		if err == io.EOF { //nolint:errorlint // only a regular end may end the body
			x.finish()
			return n, io.EOF
		}
	case byChunks:
		n, err = x.readChunks(p)
	default:
		return 0, io.EOF
	}
	if err != nil && !x.finished {
		x.err = x.explain(failure(err, true))
		x.c.Abort()
		err = x.err
	}
	return n, err
}

// Ready reports whether the next Read would return without waiting, as far as
// the connection can tell.
func (x *exchange) Ready() bool {
	if x.finished || x.err != nil || x.c.r < x.c.w {
		return true
	}
	r, ok := x.c.conn.(interface{ Readable() bool })
	return ok && r.Readable()
}

// Close ends the exchange. A body that was not read to its end costs the
// connection.
func (x *exchange) Close() error {
	if x.finished && x.sent == nil {
		return nil
	}
	if !x.finished {
		x.finished = true
		x.c.Abort()
		x.release()
		x.c.busy = false
		x.c.freeBuffer()
	}
	x.stopSender()
	if x.c.dead.Load() {
		_ = x.c.Close()
	}
	return nil
}

// readRaw reads from the buffer first, then straight from the connection.
func (x *exchange) readRaw(p []byte) (int, error) {
	c := x.c
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		return n, nil
	}
	return c.read(p)
}

func (x *exchange) readLength(p []byte) (int, error) {
	if int64(len(p)) > x.left {
		p = p[:x.left]
	}
	n, err := x.readRaw(p)
	x.left -= int64(n)
	if x.left == 0 {
		x.finish()
		return n, io.EOF
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// readChunks decodes as many chunks as are at hand, and waits only while it
// has nothing to return.
func (x *exchange) readChunks(p []byte) (n int, err error) {
	c := x.c
	for {
		used, more, err := x.chunks.step(c.buf[c.r:c.w])
		c.r += used
		switch {
		case err != nil:
			return n, err
		case more:
			if n > 0 {
				return n, nil
			}
			if err := c.fill(2 * maxChunkLine); err != nil {
				return 0, err
			}
			continue
		case x.chunks.state == chunkTrailer:
			return x.endChunks(n)
		case n == len(p):
			return n, nil
		}
		if n > 0 && c.r == c.w {
			return n, nil
		}
		span := p[n:]
		if int64(len(span)) > x.chunks.left {
			span = span[:x.chunks.left]
		}
		if c.r == c.w && len(span) < headBuffer {
			// A small chunk: read ahead, so that its framing and the next
			// chunks come with it.
			if err := c.fill(headBuffer); err != nil {
				return n, err
			}
		}
		m, err := x.readRaw(span)
		n += m
		if x.chunks.left -= int64(m); x.chunks.left == 0 {
			x.chunks.state = chunkDataEnd
		}
		if err != nil && x.chunks.left > 0 {
			return n, err
		}
	}
}

// endChunks reads the trailer section. Data already decoded is handed out
// first if the section has not arrived yet.
func (x *exchange) endChunks(n int) (int, error) {
	c := x.c
	for {
		b := c.buf[c.r:c.w]
		end := trailerEnd(b)
		if end > c.cfg.MaxTrailer || end < 0 && len(b) > c.cfg.MaxTrailer {
			return n, protocolError("trailer section longer than %d bytes", c.cfg.MaxTrailer)
		}
		if len(b) > 0 && b[0] == '\n' {
			return n, protocolError("trailer line ends in a bare LF")
		}
		if end >= 0 {
			if err := x.parseTrailer(b[:end]); err != nil {
				return n, err
			}
			c.r += end
			x.finish()
			return n, io.EOF
		}
		if n > 0 {
			return n, nil
		}
		if err := c.fill(c.cfg.MaxTrailer + headBuffer); err != nil {
			return 0, err
		}
	}
}

// trailerEnd finds the end of a trailer section, which may be an empty line
// alone. Its lines end in CRLF, as everything around chunks does.
func trailerEnd(b []byte) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return -1
}

func (x *exchange) parseTrailer(b []byte) error {
	if len(b) == 2 {
		return nil
	}
	if bytes.Count(b, []byte("\n")) != bytes.Count(b, []byte("\r\n")) {
		return protocolError("trailer line ends in a bare LF")
	}
	s := string(b)
	h, err := parseFields(s, strings.Count(s, "\n")-1, x.c.cfg.MaxTrailerFields)
	if err != nil {
		return err
	}
	if x.resp.Trailer == nil {
		x.resp.Trailer = make(http.Header, len(h))
	}
	for name, values := range h {
		x.resp.Trailer[name] = values
	}
	return nil
}

// finish ends an exchange whose response is whole, and decides about the
// connection.
func (x *exchange) finish() {
	c := x.c
	x.finished = true
	detached := x.release()
	leftover := c.r < c.w
	c.r, c.w = 0, 0
	c.freeBuffer()
	if x.keep && detached && !leftover && x.sentAll() {
		c.served++
	} else {
		c.dead.Store(true)
	}
	c.busy = false
	if c.dead.Load() && x.sent == nil {
		_ = c.Close()
	}
}

// sentAll reports whether the whole request has left.
func (x *exchange) sentAll() bool {
	if x.sent == nil {
		return x.complete
	}
	// A server may answer before the sender has seen its last Write return.
	for range 4 {
		select {
		case <-x.sent:
			return x.sendErr == nil
		default:
		}
		if !x.last.Load() {
			return false
		}
		runtime.Gosched()
	}
	return false
}

// listed yields the elements of comma-separated lists.
func listed(lists []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range lists {
			for l != "" {
				var t string
				t, l, _ = strings.Cut(l, ",")
				if t = trimOWS(t); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}
