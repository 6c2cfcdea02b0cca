//go:build unix

package netx

import "syscall"

// rawIO says that sockets can be read and written by descriptor here.
const rawIO = true

// errAgain is what a socket without bytes or room answers.
var errAgain error = syscall.EAGAIN

func readFD(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func writeFD(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
