package sniff

import (
	"net"
	"sync"

	"github.com/culvert-project/culvert/internal/netx"
)

// socket reads and writes a TCP socket by calls that do not wait and that Go's
// scheduler is not told of (see netx.Raw): they are shorter than what it would
// do about them. Any other connection is used as it is. The zero value is ready.
type socket struct {
	once sync.Once
	raw  *netx.Raw // nil for what is no socket

	reading sync.Mutex
	buf     []byte // of the read under way
	writing sync.Mutex
}

// find looks for the socket of c, which is always the same.
func (s *socket) find(c net.Conn) bool {
	s.once.Do(func() { s.raw = netx.NewRaw(c) })
	return s.raw != nil
}

// Take implements netx.BufferSource.
func (s *socket) Take() []byte { return s.buf }

// Drop implements netx.BufferSource.
func (s *socket) Drop() {}

func (s *socket) read(c net.Conn, p []byte) (int, error) {
	if len(p) == 0 || !s.find(c) {
		return c.Read(p)
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.buf = p
	n, err := s.raw.ReadReady(s)
	s.buf = nil
	return n, err
}

// write writes what the socket takes at once, and waits with the rest.
func (s *socket) write(c net.Conn, p []byte) (int, error) {
	if !s.find(c) {
		return c.Write(p)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.raw.WriteReady(p)
	if err != nil || n == len(p) {
		return n, err
	}
	m, err := c.Write(p[n:])
	return n + m, err
}
