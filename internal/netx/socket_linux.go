//go:build amd64 || arm64

package netx

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// socket is a TCP connection that lives and ends without telling Go's scheduler
// of its system calls, none of which waits. Package net tells of accept, connect,
// every option, shutdown and close; each of these calls may wake the scheduler's
// monitor, which for short connections takes as much as they do themselves.
type socket struct {
	file          *os.File // for the poller
	raw           quiet
	local, remote net.Addr
	closed        atomic.Bool
	// Both directions have ended regularly: nobody sees when it is closed.
	readToEnd, finished atomic.Bool
}

var (
	_ net.Conn     = (*socket)(nil)
	_ CloseWriter  = (*socket)(nil)
	_ syscall.Conn = (*socket)(nil)
)

// Sockets returns a listener for what l listens on, whose connections cost less
// when they are short. It takes l over. A listener that is not for TCP, or on
// another platform, is returned as it is.
func Sockets(l net.Listener) net.Listener {
	t, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	f, err := t.File()
	if err != nil {
		return l
	}
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return l
	}
	_ = t.Close() // f has the socket
	return &socketListener{file: f, raw: quiet{raw}, addr: t.Addr()}
}

// socketListener accepts sockets.
type socketListener struct {
	file *os.File
	raw  quiet
	addr net.Addr
}

// Addr returns what it listens on.
func (l *socketListener) Addr() net.Addr { return l.addr }

// Close ends Accept.
func (l *socketListener) Close() error {
	if l.file.Close() != nil {
		return l.failed("close", net.ErrClosed)
	}
	return nil
}

// Accept waits for a connection.
func (l *socketListener) Accept() (net.Conn, error) {
	var fd int
	var errno syscall.Errno
	var remote sockaddr
	err := l.raw.Read(func(on uintptr) bool {
		for {
			fd, errno = remote.call(syscall.SYS_ACCEPT4, on, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if errno != syscall.EINTR && errno != syscall.ECONNABORTED {
				return errno != syscall.EAGAIN
			}
		}
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("accept4", errno)
	}
	if err != nil {
		return nil, l.failed("accept", err)
	}
	return newSocket(fd, remote.addrPort()), nil
}

func (l *socketListener) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: err}
}

// DialTCP connects to an address, which must be one of a host. It is what a
// net.Dialer does without a name to look up.
func DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, failed(err)
	}
	for again := 2; ; again-- {
		s, err := connect(ctx, to)
		// The system may choose the very port that nobody listens on, and
		// connect it with itself.
		alone := err == nil && AddrPort(s.local) == to
		if again > 0 && (alone || errors.Is(err, syscall.EADDRNOTAVAIL)) {
			if alone {
				_ = s.file.Close()
			}
			continue
		}
		if err != nil {
			return nil, failed(err)
		}
		return s, nil
	}
}

// connect makes one attempt.
func connect(ctx context.Context, to netip.AddrPort) (*socket, error) {
	addr := newSockaddr(to)
	n, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, uintptr(addr.any.Addr.Family), syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("socket", errno)
	}
	fd := int(n) //nolint:gosec // a descriptor
	if errno = addr.connect(n); errno == syscall.EINPROGRESS {
		errno = addr.connect(n) // on the same machine it is done
	}
	s := newSocket(fd, to)
	if errno != syscall.EALREADY {
		return s.connected(errno)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.file.SetWriteDeadline(time.Unix(1, 0)) })
	err := s.raw.Write(func(fd uintptr) bool {
		errno = addr.connect(fd)
		return errno != syscall.EALREADY
	})
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = s.file.Close()
		return nil, err
	}
	return s.connected(errno)
}

// connected returns the socket unless connecting it has failed.
func (s *socket) connected(errno syscall.Errno) (*socket, error) {
	if errno != 0 {
		_ = s.file.Close()
		return nil, os.NewSyscallError("connect", errno)
	}
	return s, nil
}

// newSocket sets a descriptor up as package net does.
func newSocket(fd int, remote netip.AddrPort) *socket {
	var local sockaddr
	_, _ = local.call(syscall.SYS_GETSOCKNAME, uintptr(fd), 0) // if it fails so will the rest
	for _, o := range [...][3]int{
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9},
	} {
		v := int32(o[2]) //nolint:gosec // the constants above
		_ = setOption(uintptr(fd), o[0], o[1], &v)
	}
	s := &socket{
		file: os.NewFile(uintptr(fd), "tcp"), local: net.TCPAddrFromAddrPort(local.addrPort()), remote: net.TCPAddrFromAddrPort(remote),
	}
	raw, _ := s.file.SyscallConn() // fails without a file only
	s.raw = quiet{raw}
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var rerr error
	err = s.raw.Read(func(fd uintptr) bool {
		n, rerr = readFD(fd, p)
		return rerr != errAgain
	})
	return readResult(s, n, err, rerr)
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (n int, err error) {
	var werr error
	err = s.raw.Write(func(fd uintptr) bool {
		for n < len(p) && werr == nil {
			var m int
			if m, werr = writeFD(fd, p[n:]); werr == nil {
				n += m
			}
		}
		again := werr == errAgain
		if again {
			werr = nil
		}
		return !again
	})
	if err == nil {
		err = werr
	}
	if err != nil {
		return n, opError("write", s, err)
	}
	return n, nil
}

// readEnded notes that there is nothing more to be read.
func (s *socket) readEnded() { s.readToEnd.Store(true) }

// CloseWrite ends the sending half.
func (s *socket) CloseWrite() error {
	var errno syscall.Errno
	err := s.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall(syscall.SYS_SHUTDOWN, fd, syscall.SHUT_WR, 0)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("shutdown", errno)
	}
	if err != nil {
		return opError("close", s, err)
	}
	s.finished.Store(true)
	return nil
}

// SetLinger says what Close does with bytes that are not sent; see net.TCPConn.
func (s *socket) SetLinger(sec int) error {
	l := syscall.Linger{Onoff: 1, Linger: int32(sec)} //nolint:gosec // seconds
	if sec < 0 {
		l = syscall.Linger{}
	}
	var failed error
	if err := s.raw.Control(func(fd uintptr) {
		failed = setOption(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &l)
	}); err != nil {
		failed = err
	}
	if failed != nil {
		return opError("set", s, failed)
	}
	return nil
}

// Close ends the connection. Once both directions have ended regularly it only
// gives the descriptor back, which happens within moments.
func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return opError("close", s, net.ErrClosed)
	}
	if s.readToEnd.Load() && s.finished.Load() {
		spent.add(s.file)
		return nil
	}
	if err := s.file.Close(); err != nil {
		return opError("close", s, err)
	}
	return nil
}

// LocalAddr returns our address, a *net.TCPAddr.
func (s *socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr returns the peer's address, a *net.TCPAddr.
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline sets both deadlines.
func (s *socket) SetDeadline(t time.Time) error { return s.set(s.file.SetDeadline, t) }

// SetReadDeadline bounds Read.
func (s *socket) SetReadDeadline(t time.Time) error { return s.set(s.file.SetReadDeadline, t) }

// SetWriteDeadline bounds Write.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.set(s.file.SetWriteDeadline, t) }

func (s *socket) set(deadline func(time.Time) error, t time.Time) error {
	if deadline(t) != nil || s.closed.Load() {
		return opError("set", s, net.ErrClosed)
	}
	return nil
}

// SyscallConn returns the descriptor.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return s.raw, nil }

// quiet is the raw connection of a file with the errors of package net.
type quiet struct{ file syscall.RawConn }

// Control implements syscall.RawConn.
func (q quiet) Control(f func(uintptr)) error { return asNet(q.file.Control(f)) }

// Read implements syscall.RawConn.
func (q quiet) Read(f func(uintptr) bool) error { return asNet(q.file.Read(f)) }

// Write implements syscall.RawConn.
func (q quiet) Write(f func(uintptr) bool) error { return asNet(q.file.Write(f)) }

// asNet turns the error of a file that is closed into that of package net.
func asNet(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return net.ErrClosed
}

// spent collects the descriptors of ended connections, to close them together:
// os.File tells the scheduler of each close.
var spent leftover

const (
	// leftovers is how many descriptors may wait to be closed.
	leftovers = 64
	// leftoverTime is how long.
	leftoverTime = 20 * time.Millisecond
)

type leftover struct {
	mu    sync.Mutex
	files []*os.File
}

func (l *leftover) add(f *os.File) {
	l.mu.Lock()
	l.files = append(l.files, f)
	n := len(l.files)
	l.mu.Unlock()
	switch n {
	case 1:
		time.AfterFunc(leftoverTime, l.close)
	case leftovers:
		l.close()
	}
}

func (l *leftover) close() {
	l.mu.Lock()
	files := l.files
	l.files = nil
	l.mu.Unlock()
	for _, f := range files {
		_ = f.Close() // both directions have ended
	}
}
