package netx

import (
	"errors"
	"os"
	"sync"
	"time"
)

// closeWait is how long Close waits for a transport that cannot be written
// without waiting to take what is still held.
const closeWait = 250 * time.Millisecond

// Hold makes all later writes collect in memory until they are released. Call
// it once the TLS handshake is over.
func (b *Batch) Hold() {
	b.out.Lock()
	defer b.out.Unlock()
	b.holding = true
}

// Write sends p, or keeps it once writes are held.
func (b *Batch) Write(p []byte) (int, error) {
	b.out.Lock()
	if !b.holding {
		b.out.Unlock()
		return b.Conn.Write(p)
	}
	defer b.out.Unlock()
	if len(b.held)+len(p) > maxHeld {
		return 0, errHeld
	}
	b.held = append(growHeld(b.held, len(p)), p...)
	b.pending.Store(true)
	return len(p), nil
}

// Pending reports whether something waits to be released.
func (b *Batch) Pending() bool { return b.pending.Load() }

// Release sends everything held, waiting for the transport until its write
// deadline. When the deadline passes, it reports whether some bytes went
// through and keeps the rest, so that the caller can move the deadline and
// call again. One Release or TryRelease may be under way at a time.
func (b *Batch) Release() (progress bool, err error) {
	for {
		p := b.next()
		if p == nil {
			return progress, nil
		}
		n, err := b.Conn.Write(p)
		progress = progress || n > 0
		b.advance(n, err)
		if err != nil {
			return progress, err
		}
	}
}

// TryRelease sends as much of what is held as the transport takes without
// waiting. It returns false when something is left: the caller then has to
// call Release from a goroutine that may wait.
func (b *Batch) TryRelease() (bool, error) {
	if b.raw == nil {
		return !b.Pending(), nil
	}
	for {
		p := b.next()
		if p == nil {
			return true, nil
		}
		n, err := b.raw.WriteReady(p)
		b.advance(n, err)
		if err != nil || n < len(p) {
			return false, err
		}
	}
}

// next returns the bytes to send next, nil when there are none.
func (b *Batch) next() []byte {
	b.out.Lock()
	defer b.out.Unlock()
	if b.sending == nil && len(b.held) > 0 {
		b.sending, b.sent, b.held = b.held, 0, nil
	}
	b.releasing = b.sending != nil
	return b.sending[b.sent:]
}

// advance notes that n more bytes are gone. What is left after an error other
// than a deadline is dropped.
func (b *Batch) advance(n int, err error) {
	b.out.Lock()
	defer b.out.Unlock()
	b.sent += n
	b.releasing = err == nil && b.sent == len(b.sending) // the caller asks for the next bytes
	broken := err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	if b.sent == len(b.sending) || broken {
		putHeld(b.sending)
		b.sending, b.sent = nil, 0
	}
	if broken {
		putHeld(b.held)
		b.held = nil
	}
	b.pending.Store(b.sending != nil || len(b.held) > 0)
}

// Close closes the connection. Before, it sends what is still held, in most
// cases the goodbye of TLS, as far as the transport takes it at once.
func (b *Batch) Close() error {
	b.out.Lock()
	idle := !b.releasing
	b.out.Unlock()
	if idle && b.Pending() {
		// TLS leaves a deadline that has passed. Failures show nowhere: the
		// peer learns of the end one way or the other.
		if b.raw != nil {
			_ = b.Conn.SetWriteDeadline(time.Time{})
			_, _ = b.TryRelease()
		} else {
			_ = b.Conn.SetWriteDeadline(time.Now().Add(closeWait))
			_, _ = b.Release()
		}
	}
	return b.Conn.Close()
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

// growHeld returns b with room for n more bytes, from the pools where
// possible. Beyond them append takes over.
func growHeld(b []byte, n int) []byte {
	need := len(b) + n
	switch {
	case need <= cap(b) || need > largeHeld:
		return b
	case need <= smallHeld:
		return append(smallHelds.Get().(*[smallHeld]byte)[:0], b...)
	}
	g := append(largeHelds.Get().(*[largeHeld]byte)[:0], b...)
	putHeld(b)
	return g
}

func putHeld(b []byte) {
	switch cap(b) {
	case smallHeld:
		smallHelds.Put((*[smallHeld]byte)(b[:smallHeld]))
	case largeHeld:
		largeHelds.Put((*[largeHeld]byte)(b[:largeHeld]))
	}
}
