//go:build !race && (amd64 || arm64)

package netx

import (
	"syscall"
	"unsafe"
)

// On Linux a socket is read and written without telling Go's scheduler, which
// is allowed because MSG_DONTWAIT makes the kernel return at once: it would
// take the processor away from us for longer than most of these calls last, and
// its monitor would stay awake for them.

func readFD(fd uintptr, b []byte) (int, error) {
	return transfer(syscall.SYS_RECVFROM, fd, b, syscall.MSG_DONTWAIT)
}

func writeFD(fd uintptr, b []byte) (int, error) {
	return transfer(syscall.SYS_SENDTO, fd, b, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func transfer(call, fd uintptr, b []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0) //nolint:gosec // the form that package unsafe allows
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}
