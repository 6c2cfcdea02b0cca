package netx

import (
	"io"
	"net"
	"syscall"
)

// Raw reads and writes a TCP socket without waiting inside the write and
// without holding a buffer while waiting to read. One goroutine may read and
// one may write at a time. Calls allocate nothing.
type Raw struct {
	conn net.Conn
	raw  syscall.RawConn

	source  BufferSource
	readN   int
	readErr error
	onRead  func(fd uintptr) bool

	out      []byte
	writeN   int
	writeErr error
	onWrite  func(fd uintptr) bool
}

// BufferSource lends the buffer of one read.
type BufferSource interface {
	Take() []byte
	Drop()
}

// NewRaw returns raw access to c, or nil where c is no TCP socket or the
// platform has no such access.
func NewRaw(c net.Conn) *Raw {
	switch c.(type) {
	case *net.TCPConn, ender:
	default:
		return nil
	}
	if !rawIO {
		return nil
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	r := &Raw{conn: c, raw: raw}
	r.onRead = r.tryRead
	r.onWrite = r.tryWrite
	return r
}

// ender is a TCP socket that wants to know that it has been read to its end.
type ender interface{ readEnded() }

// ReadReady waits until the socket has bytes and reads once. The buffer
// is taken from src at the moment a read is tried and dropped again when the
// socket had nothing. It returns io.EOF at the end of the stream. Deadlines of the
// connection apply.
func (r *Raw) ReadReady(src BufferSource) (int, error) {
	r.source, r.readN, r.readErr = src, 0, nil
	err := r.raw.Read(r.onRead)
	r.source = nil
	return readResult(r.conn, r.readN, err, r.readErr)
}

// readResult is what a read returns: err comes from the poller, rerr from the
// system call.
func readResult(c net.Conn, n int, err, rerr error) (int, error) {
	if err == nil {
		err = rerr
	}
	switch {
	case err != nil:
		return 0, opError("read", c, err)
	case n > 0:
		return n, nil
	}
	if e, ok := c.(ender); ok {
		e.readEnded()
	}
	return 0, io.EOF
}

// TryRead reads what the socket has at once into b: nothing gives 0 and no
// error, the end of the stream io.EOF.
func (r *Raw) TryRead(b []byte) (n int, err error) {
	var rerr error
	err = r.raw.Read(func(fd uintptr) bool {
		n, rerr = readFD(fd, b)
		return true
	})
	if err == nil && rerr == errAgain {
		return 0, nil
	}
	return readResult(r.conn, n, err, rerr)
}

// tryRead is always tried before waiting: the poller forgets earlier readiness
// when a wait begins.
func (r *Raw) tryRead(fd uintptr) bool {
	r.readN, r.readErr = readFD(fd, r.source.Take())
	if r.readErr == errAgain {
		r.source.Drop()
		return false
	}
	return true
}

// WriteReady writes what the socket takes at once, possibly nothing.
func (r *Raw) WriteReady(b []byte) (int, error) {
	r.out, r.writeN, r.writeErr = b, 0, nil
	err := r.raw.Write(r.onWrite)
	r.out = nil
	if err == nil {
		err = r.writeErr
	}
	if err != nil {
		return r.writeN, opError("write", r.conn, err)
	}
	return r.writeN, nil
}

func (r *Raw) tryWrite(fd uintptr) bool {
	for r.writeN < len(r.out) {
		n, err := writeFD(fd, r.out[r.writeN:])
		if err != nil {
			if err != errAgain {
				r.writeErr = err
			}
			break
		}
		r.writeN += n
	}
	return true
}

// QuickAck acknowledges at once what was read so far.
func (r *Raw) QuickAck() { setQuickAck(r.raw) }

// opError dresses err as the net package does, so that callers see deadlines
// and closed connections the usual way.
func opError(op string, c net.Conn, err error) error {
	if oe, ok := err.(*net.OpError); ok { //nolint:errorlint // that of a raw connection, whose Op is "raw-read" and the like
		err = oe.Err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
