package agent

import "syscall"

// bindToInterface makes a socket use one network interface only.
func bindToInterface(c syscall.RawConn, name string) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), name) }); e != nil {
		return e
	}
	return err
}
