//go:build amd64 || arm64

package netx

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"
)

// sockaddr is an address as the kernel has it.
type sockaddr struct {
	any  syscall.RawSockaddrAny
	size uint32
}

// newSockaddr returns the form of an address without a zone.
func newSockaddr(a netip.AddrPort) *sockaddr {
	s := &sockaddr{}
	if a.Addr().Is4() {
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&s.any)) //nolint:gosec // as package syscall does
		in.Family, in.Addr, s.size = syscall.AF_INET, a.Addr().As4(), syscall.SizeofSockaddrInet4
	} else {
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(&s.any)) //nolint:gosec // as above
		in.Family, in.Addr, s.size = syscall.AF_INET6, a.Addr().As16(), syscall.SizeofSockaddrInet6
	}
	binary.BigEndian.PutUint16(s.port(), a.Port())
	return s
}

// port returns the bytes of the port, which lie at the same place in both
// families.
func (s *sockaddr) port() []byte {
	return (*[4]byte)(unsafe.Pointer(&s.any))[2:] //nolint:gosec // within the array
}

// addrPort returns the address, not IPv4-mapped; a zone is left out.
func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.port())
	switch s.any.Addr.Family {
	case syscall.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*syscall.RawSockaddrInet4)(unsafe.Pointer(&s.any)).Addr), port) //nolint:gosec // as above
	case syscall.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16((*syscall.RawSockaddrInet6)(unsafe.Pointer(&s.any)).Addr).Unmap(), port) //nolint:gosec // as above
	}
	return netip.AddrPort{}
}

// call makes a system call that fills the address in.
func (s *sockaddr) call(number, fd, flags uintptr) (int, syscall.Errno) {
	s.size = syscall.SizeofSockaddrAny
	n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(&s.any)), uintptr(unsafe.Pointer(&s.size)), flags, 0, 0) //nolint:gosec // the form that package unsafe allows
	return int(n), errno                                                                                                           //nolint:gosec // a descriptor
}

// connect begins to connect a socket, or tells how far that is: EALREADY while
// it is under way.
func (s *sockaddr) connect(fd uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&s.any)), uintptr(s.size)) //nolint:gosec // as above
	return errno
}

// setOption sets an option of a socket to a value in the kernel's form.
func setOption[T any](fd uintptr, level, option int, value *T) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(option), uintptr(unsafe.Pointer(value)), unsafe.Sizeof(*value), 0) //nolint:gosec // as above
	if errno != 0 {
		return errno
	}
	return nil
}
