package memnet

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// bufferSize bounds what one direction holds, like a socket buffer.
const bufferSize = 256 << 10

// half is one direction of a connection.
type half struct {
	mu   sync.Mutex
	cond sync.Cond

	buf      bytes.Buffer
	eof      bool // the writer closed its half
	broken   bool // the reader is gone: writes fail
	readEnd  deadline
	writeEnd deadline
}

func newHalf() *half {
	h := &half{}
	h.cond.L = &h.mu
	return h
}

// deadline wakes a half when its time has come.
type deadline struct {
	timer  *time.Timer
	passed bool
}

func (d *deadline) set(h *half, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		h.cond.Broadcast()
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		h.cond.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			h.cond.Broadcast()
		}
	})
	d.timer = timer
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.broken:
			return 0, net.ErrClosed
		case h.readEnd.passed:
			return 0, os.ErrDeadlineExceeded
		case h.buf.Len() > 0:
			h.cond.Broadcast()
			return h.buf.Read(p)
		case h.eof:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		h.cond.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.eof:
			return n, net.ErrClosed
		case h.broken:
			return n, io.ErrClosedPipe
		case h.writeEnd.passed:
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		}
		if room := bufferSize - h.buf.Len(); room > 0 {
			m := min(room, len(p))
			h.buf.Write(p[:m])
			p, n = p[m:], n+m
			h.cond.Broadcast()
			continue
		}
		h.cond.Wait()
	}
}

func (h *half) finish(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.cond.Broadcast()
}

// conn is one end of a connection.
type conn struct {
	in, out       *half
	local, remote net.Addr
}

// Pipe returns two connected ends named by the given addresses.
func Pipe(a, b net.Addr) (net.Conn, net.Conn) {
	ab, ba := newHalf(), newHalf()
	return &conn{in: ba, out: ab, local: a, remote: b}, &conn{in: ab, out: ba, local: b, remote: a}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.dress("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.dress("write", err)
}

func (c *conn) dress(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}

// CloseWrite ends the sending half: the peer reads what was sent, then EOF.
func (c *conn) CloseWrite() error {
	c.out.finish(func() { c.out.eof = true })
	return nil
}

// Close ends both halves. The peer reads what was sent, then EOF; its writes
// fail.
func (c *conn) Close() error {
	c.out.finish(func() { c.out.eof = true })
	c.in.finish(func() {
		c.in.broken = true
		c.in.buf.Reset()
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readEnd.set(c.in, t)
	c.out.writeEnd.set(c.out, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readEnd.set(c.in, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writeEnd.set(c.out, t)
	return nil
}
