//go:build unix

package netx

import "syscall"

// rawIO says that sockets can be read and written by descriptor here.
const rawIO = true

// errAgain is what a socket without bytes or room answers.
var errAgain error = syscall.EAGAIN
