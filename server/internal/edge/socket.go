package edge

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// farewellTime is how long WebSockets that were told that the server goes may
// take to end by themselves.
const farewellTime = time.Second

// goingAway is a close frame with status 1001, from a server (RFC 6455 5.5.1,
// 7.4.1).
var goingAway = [...]byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// socket is the client's side of a WebSocket that passes through. It follows
// the frames, so that it can end both directions with a close frame where they
// are between frames.
type socket struct {
	net.Conn

	in frames // what the client sends; belongs to the goroutine that reads

	mu   sync.Mutex
	out  frames // what the client gets
	said bool   // the client has got our close frame

	left     atomic.Bool
	farewell []byte // what the upstream still has to read; belongs to the goroutine that reads
	ended    bool
}

// Read reads what the client sends and, after leave, a close frame of its.
func (s *socket) Read(p []byte) (int, error) {
	if s.ended {
		return s.sayGoodbye(p)
	}
	n, err := s.Conn.Read(p)
	s.in.pass(p[:n])
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && s.left.Load() {
		s.ended = true
		if s.in.between() {
			s.farewell = maskedGoingAway()
		}
		return s.sayGoodbye(p)
	}
	return n, err
}

// sayGoodbye gives out the farewell. Then it reads on for a moment, since the
// client may answer, and a reset would take our close frame from it.
func (s *socket) sayGoodbye(p []byte) (int, error) {
	if len(s.farewell) > 0 {
		n := copy(p, s.farewell)
		s.farewell = s.farewell[n:]
		return n, nil
	}
	_ = s.SetReadDeadline(time.Now().Add(farewellTime)) // if it fails so does the read
	_, _ = io.Copy(io.Discard, struct{ io.Reader }{s.Conn})
	return 0, io.EOF
}

// Write sends to the client, but nothing behind our close frame.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said {
		return len(p), nil
	}
	n, err := s.Conn.Write(p)
	s.out.pass(p[:n])
	return n, err
}

// leave tells both sides that the server goes. It does not wait for a client
// that takes nothing.
func (s *socket) leave() {
	if s.mu.TryLock() {
		if s.out.between() {
			_ = s.SetWriteDeadline(time.Now().Add(farewellTime))
			_, _ = s.Conn.Write(goingAway[:]) // it may be gone
			s.said = true
		}
		s.mu.Unlock()
	}
	s.left.Store(true)
	_ = s.SetReadDeadline(longAgo) // wakes Read
}

// CloseWrite closes the sending half.
func (s *socket) CloseWrite() error { return netx.CloseWrite(s.Conn) }

// NetConn returns the connection below.
func (s *socket) NetConn() net.Conn { return s.Conn }

// maskedGoingAway is goingAway from a client (RFC 6455 5.3).
func maskedGoingAway() []byte {
	b := []byte{0x88, 0x82, 0, 0, 0, 0, goingAway[2], goingAway[3]}
	_, _ = rand.Read(b[2:6]) // never fails
	b[6] ^= b[2]
	b[7] ^= b[3]
	return b
}

// frames follows one direction of a WebSocket (RFC 6455 5.2). It looks at
// lengths and at whether a close frame has passed, and judges nothing.
type frames struct {
	head   [14]byte
	have   int    // bytes of the head of a frame
	left   uint64 // bytes to come of its payload
	closed bool
}

// between reports whether a frame may be put in here.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// pass notes bytes.
func (f *frames) pass(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.head[f.have] = b[0]
		f.have++
		b = b[1:]
		if size, length := f.parse(); f.have >= 2 && f.have == size {
			f.left, f.have = length, 0
			f.closed = f.closed || f.head[0]&0xf == 8
		}
	}
}

// parse returns the sizes of the frame's head and payload, as far as its first
// bytes tell.
func (f *frames) parse() (head int, payload uint64) {
	head = 2
	switch payload = uint64(f.head[1] & 0x7f); payload {
	case 126:
		head += 2
		payload = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		head += 8
		payload = binary.BigEndian.Uint64(f.head[2:])
	}
	if f.head[1]&0x80 != 0 {
		head += 4
	}
	return head, payload
}
