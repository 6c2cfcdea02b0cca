//go:build !linux

package agent

import (
	"errors"
	"syscall"
)

// bindToInterface is available on Linux only.
func bindToInterface(syscall.RawConn, string) error { return errors.ErrUnsupported }
