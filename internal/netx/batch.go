package netx

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// readAhead is how much one read of the socket may bring in: eight full TLS
// records.
const readAhead = 128 << 10

var readBuffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

// Batch is a connection to put below TLS. Reading, it takes everything the
// socket has in one system call; writing, it collects what is written from Hold
// on and sends it in one with Release. It holds buffers only while they have
// bytes in them, so an idle connection costs no more than its socket.
//
// Make one with NewBatch.
type Batch struct {
	net.Conn
	raw *Raw // nil where the platform or transport offers none

	in      inbound
	records records
	begun   bool // the first record was begun

	quickAck atomic.Bool

	// out guards what follows and is never held while waiting: TLS answers a
	// key update from its reading side, which must not wait for the transport.
	out       sync.Mutex
	holding   bool
	releasing bool   // Release or TryRelease is under way
	held      []byte // written and not taken by a release yet
	sending   []byte // taken by a release; the first sent bytes of it are gone
	sent      int

	pending atomic.Bool // held or sending is not empty; changed under out
}

// maxHeld bounds what a Batch keeps. Whoever holds writes back has bounds of
// its own; this one is for a peer that makes TLS itself answer and never reads.
const maxHeld = 8 << 20

var errHeld = errors.New("too much output is held back")

// NewBatch returns c wrapped for batching. Only a *net.TCPConn on a Unix
// system is read ahead, also below Prefixed, whose bytes then come first; any
// other connection is read as it is.
func NewBatch(c net.Conn) *Batch {
	below, head := Buffered(c)
	raw := NewRaw(below)
	if raw == nil || len(head) > readAhead {
		return &Batch{Conn: Prefixed(below, head)}
	}
	b := &Batch{Conn: below, raw: raw}
	if len(head) > 0 {
		b.in.w = copy(b.in.Take(), head)
	}
	return b
}

// NetConn returns the wrapped connection.
func (b *Batch) NetConn() net.Conn { return b.Conn }

// CloseWrite closes the sending half of the wrapped connection.
func (b *Batch) CloseWrite() error { return CloseWrite(b.Conn) }

// SetQuickAck says whether each read is followed by an immediate TCP
// acknowledgement. Peers that leave Nagle's algorithm on wait for one for
// 40 ms otherwise (agent-protocol.md, hazard H1). It costs a system call for
// each read and does something on Linux only.
func (b *Batch) SetQuickAck(on bool) { b.quickAck.Store(on) }

// Read reads from the buffer, refilling it from the socket when it is empty.
func (b *Batch) Read(p []byte) (int, error) {
	if b.raw == nil {
		return b.Conn.Read(p)
	}
	if b.in.r == b.in.w {
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	next := b.in.next()
	end := b.records.within(next)
	if !b.begun {
		// TLS keeps the buffer of the longest record for good. It makes it as
		// large as the hello needs if it learns the length first, else half as
		// large again.
		b.begun, end = true, min(end, recordHeader)
	}
	n := copy(p, next[:end])
	b.records.pass(next[:n])
	if b.in.r += n; b.in.r == b.in.w {
		b.in.Drop()
	}
	return n, nil
}

// fill waits for the socket and reads once.
func (b *Batch) fill() error {
	n, err := b.raw.ReadReady(&b.in)
	if err != nil {
		b.in.Drop()
		return err
	}
	b.in.r, b.in.w = 0, n
	if b.quickAck.Load() {
		b.raw.QuickAck()
	}
	return nil
}

// Gone reports whether the peer has ended the connection and nothing of it is
// left to be read. It reads ahead what the socket has, without waiting; where it
// cannot, it says false. Only who reads may call it.
func (b *Batch) Gone() bool {
	if b.raw == nil || b.in.r < b.in.w {
		return false
	}
	n, err := b.raw.TryRead(b.in.Take())
	if n == 0 {
		b.in.Drop()
		return err != nil
	}
	b.in.r, b.in.w = 0, n
	return false
}

// inbound is the read-ahead buffer, present only while it has bytes.
type inbound struct {
	buf  *[readAhead]byte
	r, w int
}

// Take implements BufferSource.
func (i *inbound) Take() []byte {
	i.buf = readBuffers.Get().(*[readAhead]byte)
	return i.buf[:]
}

// Drop implements BufferSource.
func (i *inbound) Drop() {
	if i.buf != nil {
		readBuffers.Put(i.buf)
		i.buf, i.r, i.w = nil, 0, 0
	}
}

// next returns the bytes in the buffer.
func (i *inbound) next() []byte {
	if i.buf == nil {
		return nil
	}
	return i.buf[i.r:i.w]
}

// RecordBuffered reports whether a whole TLS record of data lies in the
// buffer, so that one more Read of the TLS connection above cannot block.
func (b *Batch) RecordBuffered() bool { return b.records.complete(b.in.next()) }
