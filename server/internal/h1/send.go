package h1

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"time"
)

const (
	// bodyBuffer is the size of a pooled buffer of the sending goroutine: one
	// full DATA frame of data, with room for chunk framing around it.
	bodyBuffer = 32<<10 + chunkBefore + chunkAfter
	// chunkBefore is the longest chunk line of such a buffer, "8000\r\n".
	chunkBefore = 6
	chunkAfter  = 2
)

var bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}

// prepare builds what the first Write carries.
func (x *exchange) prepare() ([]byte, error) {
	buf := bodyBuffers.Get().(*[bodyBuffer]byte)
	b, err := x.req.appendHead(buf[:0])
	if err != nil {
		bodyBuffers.Put(buf)
		return nil, err
	}
	if x.req.inlines() {
		have := len(b)
		n := int(x.req.ContentLength)
		for cap(b) < have+n {
			b = append(b[:cap(b)], 0)
		}
		b = b[:have+n]
		if _, err := io.ReadFull(x.req.Body, b[have:]); err != nil {
			putBody(b)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errShortBody
			}
			return nil, &Error{Kind: RequestBody, Err: err}
		}
	}
	return b, nil
}

// putBody returns b's array to the pool if it came from there.
func putBody(b []byte) {
	if cap(b) == bodyBuffer {
		bodyBuffers.Put((*[bodyBuffer]byte)(b[:bodyBuffer]))
	}
}

// send writes head and inline body, and starts the sender for any other body.
// A failed write is not the end: the server may have answered before it
// closed, so the response is read all the same.
func (x *exchange) send(b []byte) {
	c := x.c
	large := len(b) > unboundedHead && c.cfg.Idle > 0
	if large {
		_ = c.conn.SetWriteDeadline(time.Now().Add(c.cfg.Idle))
	}
	_, err := c.conn.Write(b)
	if large {
		_ = c.conn.SetWriteDeadline(time.Time{})
	}
	putBody(b)
	if err != nil {
		c.dead.Store(true)
		x.sendErr = err
		return
	}
	if !x.req.hasBody() || x.req.inlines() {
		x.complete = true
		return
	}
	x.sent = make(chan struct{})
	x.halt = make(chan struct{})
	x.goOn = make(chan struct{})
	if x.withheld = x.req.Expect; !x.withheld {
		close(x.goOn)
	}
	go x.sendBody()
}

// sendBody sends the request body, chunked unless its length is known.
func (x *exchange) sendBody() {
	defer close(x.sent)
	if !x.awaitContinue() {
		x.sendErr = errHalted
		return
	}
	buf := bodyBuffers.Get().(*[bodyBuffer]byte)
	defer bodyBuffers.Put(buf)
	left := x.req.ContentLength
	for {
		n, err := x.req.Body.Read(x.span(buf, left))
		if err == nil && n == 0 {
			continue
		}
		end := errors.Is(err, io.EOF)
		if err != nil && !end || end && left > int64(n) {
			if end {
				err = errShortBody
			}
			x.giveUp(err)
			return
		}
		left -= int64(n)
		end = end || x.req.ContentLength > 0 && left == 0
		x.last.Store(end)
		if _, err := x.c.conn.Write(x.frameData(buf, n, end)); err != nil {
			x.sendErr = err
			return
		}
		x.c.written.Store(time.Now().UnixNano())
		if end {
			return
		}
		select {
		case <-x.halt:
			x.sendErr = errHalted
			return
		default:
		}
	}
}

var errHalted = errors.New("request body no longer wanted")

// span is where the next body bytes go in buf.
func (x *exchange) span(buf *[bodyBuffer]byte, left int64) []byte {
	p := buf[chunkBefore : bodyBuffer-chunkAfter]
	if x.req.ContentLength > 0 {
		p = p[:min(int64(len(p)), left)]
	}
	return p
}

// frameData returns the n bytes in buf with the framing they need.
func (x *exchange) frameData(buf *[bodyBuffer]byte, n int, end bool) []byte {
	if x.req.ContentLength > 0 {
		return buf[chunkBefore : chunkBefore+n]
	}
	var b []byte
	if n > 0 {
		var line [chunkBefore]byte
		l := append(strconv.AppendInt(line[:0], int64(n), 16), '\r', '\n')
		start := chunkBefore - len(l)
		copy(buf[start:], l)
		b = append(buf[start:chunkBefore+n:bodyBuffer], '\r', '\n')
	}
	if end {
		b = x.req.appendTrailer(b)
	}
	return b
}

// awaitContinue holds the body back until the server asked for it, the time
// for that is over, or nobody wants it any more.
func (x *exchange) awaitContinue() bool {
	select {
	case <-x.goOn:
		return true
	default:
	}
	t := time.NewTimer(x.c.cfg.ContinueWait)
	defer t.Stop()
	select {
	case <-x.goOn:
		return true
	case <-t.C:
		return true
	case <-x.halt:
		return false
	}
}

// giveUp records that the client's body failed. The server must not take what
// it has got for the whole, so the connection is aborted, unless the body was
// stopped by us after a whole response.
func (x *exchange) giveUp(err error) {
	x.sendErr = err
	select {
	case <-x.halt:
	default:
		x.bodyErr.Store(&err)
		x.c.Abort()
	}
}

// stopSender ends the sending goroutine and waits for it.
func (x *exchange) stopSender() {
	if x.sent == nil {
		return
	}
	select {
	case <-x.sent:
		return
	default:
	}
	close(x.halt)
	// The sender may wait for credit of a peer that has stopped reading, or
	// for the client.
	_ = x.c.conn.SetWriteDeadline(aLongTimeAgo)
	if x.req.StopBody != nil {
		x.req.StopBody()
	}
	<-x.sent
	x.c.dead.Store(true)
}

var aLongTimeAgo = time.Unix(1, 0)
