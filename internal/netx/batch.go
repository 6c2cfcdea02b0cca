package netx

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

const (
	// readAhead is how much one read of the socket may bring in: eight full
	// TLS records.
	readAhead = 128 << 10
	// maxRecord is the size of the largest TLS record on the wire
	// (RFC 8446 5.1, 5.2).
	maxRecord = 5 + 1<<14 + 256
)

var readBuffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

// Batch is a connection to put below TLS. Reading, it takes everything the
// socket has in one system call; writing, it collects what is written between
// Hold and Release and sends it in one. It holds buffers only while they have
// bytes in them, so an idle connection costs no more than its socket.
//
// Make one with NewBatch.
type Batch struct {
	net.Conn
	raw *Raw // nil where the platform or transport offers none

	in inbound

	quickAck atomic.Bool

	// out is held while bytes go to the transport: TLS answers a key update
	// from the reading side, and records must not change their order.
	out     sync.Mutex
	held    []byte
	holding bool
}

// NewBatch returns c wrapped for batching. Only a *net.TCPConn on a Unix
// system is read ahead; any other connection is read as it is.
func NewBatch(c net.Conn) *Batch {
	return &Batch{Conn: c, raw: NewRaw(c)}
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
	n := copy(p, b.in.buf[b.in.r:b.in.w])
	b.in.r += n
	if b.in.r == b.in.w {
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

// RecordBuffered reports whether a whole TLS record certainly lies in the
// buffer, so that one more Read of the TLS connection above cannot block.
func (b *Batch) RecordBuffered() bool { return b.in.w-b.in.r >= maxRecord }

// Hold makes writes collect in memory until Release. The caller serialises
// Hold, the writes and Release.
func (b *Batch) Hold() {
	b.out.Lock()
	defer b.out.Unlock()
	b.holding = true
}

// Write sends p, or keeps it while writes are held.
func (b *Batch) Write(p []byte) (int, error) {
	b.out.Lock()
	defer b.out.Unlock()
	if !b.holding {
		return b.Conn.Write(p)
	}
	if b.held == nil {
		b.held = getHeld(len(p))
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

// Release sends everything held, waiting for the transport until its write
// deadline. When the deadline passes although some bytes went through, it
// reports progress and keeps the rest, so that the caller can move the deadline
// and call again.
func (b *Batch) Release() (progress bool, err error) {
	b.out.Lock()
	defer b.out.Unlock()
	if len(b.held) == 0 {
		b.holding = false
		return true, nil
	}
	n, err := b.Conn.Write(b.held)
	if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		b.held = b.held[:copy(b.held, b.held[n:])]
		return true, err
	}
	putHeld(b.held)
	b.held, b.holding = nil, false
	return n > 0, err
}

// TryRelease sends as much of what is held as the transport takes without
// waiting. It returns false when something is left: the caller then has to
// call Release from a goroutine that may wait.
func (b *Batch) TryRelease() (bool, error) {
	b.out.Lock()
	defer b.out.Unlock()
	if len(b.held) == 0 {
		b.holding = false
		return true, nil
	}
	if b.raw == nil {
		return false, nil
	}
	n, err := b.raw.WriteReady(b.held)
	if err == nil && n < len(b.held) {
		b.held = b.held[:copy(b.held, b.held[n:])]
		return false, nil
	}
	putHeld(b.held)
	b.held, b.holding = nil, false
	return true, err
}

// Pools of collected output: most flushes are one small record, the large
// ones carry a full output buffer with the overhead of its records.
const (
	smallHeld = 8 << 10
	largeHeld = 320 << 10
)

var (
	smallHelds = sync.Pool{New: func() any { return new([smallHeld]byte) }}
	largeHelds = sync.Pool{New: func() any { return new([largeHeld]byte) }}
)

func getHeld(n int) []byte {
	if n <= smallHeld/2 {
		return smallHelds.Get().(*[smallHeld]byte)[:0]
	}
	return largeHelds.Get().(*[largeHeld]byte)[:0]
}

func putHeld(b []byte) {
	switch cap(b) {
	case smallHeld:
		smallHelds.Put((*[smallHeld]byte)(b[:smallHeld]))
	case largeHeld:
		largeHelds.Put((*[largeHeld]byte)(b[:largeHeld]))
	}
}
