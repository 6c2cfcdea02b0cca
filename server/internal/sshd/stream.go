package sshd

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// chunk is how many bytes are read and written at once.
const chunk = 32 << 10

// stream is a channel to a client as a connection, with deadlines and half-close. One Read and one Write may be
// under way at a time, others wait for them; all else may be called from anywhere.
type stream struct {
	ch            ssh.Channel
	local, remote net.Addr

	readEnd, writeEnd *deadline
	closed            chan struct{}
	closing           sync.Once

	reading sync.Mutex
	rest    []byte        // of the last chunk; guarded by reading
	chunks  chan []byte   // what was read, one at a time
	taken   chan struct{} // the last chunk is read to its end
	over    chan struct{} // closed when nothing more comes
	readErr error         // set before over is closed

	writing sync.Mutex
	buf     []byte     // guarded by writing; the writer's between orders and done
	broken  error      // guarded by writing
	orders  chan order // for the writer, which alone writes to the channel
	done    chan error // of the last order
}

// order is what the writer is to do: to send bytes, or the end if there are none.
type order []byte

// newStream returns a stream over ch. ended is called when the client has closed its side too, and lost says whether
// that was the end of the SSH connection.
func newStream(ch ssh.Channel, local, remote net.Addr, lost func() bool, ended func()) *stream {
	s := &stream{
		ch: ch, local: local, remote: remote, readEnd: newDeadline(), writeEnd: newDeadline(), closed: make(chan struct{}),
		chunks: make(chan []byte), taken: make(chan struct{}, 1), over: make(chan struct{}),
		orders: make(chan order), done: make(chan error, 1),
	}
	go func() {
		defer ended()
		s.read(lost)
	}()
	go s.write()
	return s
}

// read reads the channel to its end. What comes after Close is thrown away, so that the client can end.
func (s *stream) read(lost func() bool) {
	defer close(s.over)
	buf := make([]byte, chunk)
	for {
		n, err := s.ch.Read(buf)
		if n > 0 {
			select {
			case s.chunks <- buf[:n]:
				select {
				case <-s.taken:
				case <-s.closed:
					buf = make([]byte, chunk) // a Read may still have the other one
				}
			case <-s.closed:
			}
		}
		if err != nil {
			if s.readErr = err; lost() {
				s.readErr = io.ErrUnexpectedEOF
			}
			return
		}
	}
}

// write carries out orders until Close.
func (s *stream) write() {
	for {
		select {
		case o := <-s.orders:
			var err error
			if len(o) == 0 {
				err = s.ch.CloseWrite()
			} else {
				_, err = s.ch.Write(o)
			}
			s.done <- err
		case <-s.closed:
			return
		}
	}
}

// Read reads what the client sends.
func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	case <-s.readEnd.wait():
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(s.rest) == 0 {
		passed := s.readEnd.wait()
		select {
		case s.rest = <-s.chunks:
		case <-s.over:
			return 0, s.readErr
		case <-s.closed:
			return 0, net.ErrClosed
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, s.rest)
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.taken <- struct{}{}
	}
	return n, nil
}

// Write sends p. After a write deadline has cut it off the stream is of no use any more.
func (s *stream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for len(p) > 0 {
		if s.buf == nil {
			s.buf = make([]byte, chunk)
		}
		m := copy(s.buf, p)
		if err := s.order(s.buf[:m]); err != nil {
			return n, err
		}
		n, p = n+m, p[m:]
	}
	return n, nil
}

// CloseWrite tells the client that nothing more comes.
func (s *stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.order(nil)
	if s.broken == nil {
		s.broken = net.ErrClosed
	}
	return err
}

// order has the writer do something. It is called with writing held.
func (s *stream) order(o order) error {
	passed := s.writeEnd.wait()
	if s.broken == nil {
		select {
		case <-s.closed:
			return net.ErrClosed
		case <-passed:
			return os.ErrDeadlineExceeded
		case s.orders <- o:
		}
		select {
		case err := <-s.done:
			if err == io.EOF { //nolint:errorlint // what the library returns for a channel that was closed
				err = net.ErrClosed
			}
			s.broken = err
		case <-s.closed:
			s.broken = net.ErrClosed
		case <-passed:
			s.broken = os.ErrDeadlineExceeded
		}
	}
	return s.broken
}

// Close ends the stream. What was written before arrives.
func (s *stream) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		go func() { _ = s.ch.Close() }() // it waits if the client does not read, and fails if it has closed the channel
	})
	return nil
}

// LocalAddr returns our address of the SSH connection.
func (s *stream) LocalAddr() net.Addr { return s.local }

// RemoteAddr returns the client's address of the SSH connection.
func (s *stream) RemoteAddr() net.Addr { return s.remote }

// SetDeadline sets both deadlines.
func (s *stream) SetDeadline(t time.Time) error {
	s.readEnd.set(t)
	s.writeEnd.set(t)
	return nil
}

// SetReadDeadline bounds Read.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.readEnd.set(t)
	return nil
}

// SetWriteDeadline bounds Write.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.writeEnd.set(t)
	return nil
}
