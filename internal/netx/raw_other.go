//go:build !unix

package netx

import "errors"

// rawIO says that sockets can be read and written by descriptor here.
const rawIO = false

var errAgain = errors.New("would block")

func readFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
