package datafile

import (
	"errors"
	"io"
	"os"
)

// ErrLocked says that another process, or another call in this one, has the
// lock.
var ErrLocked = errors.New("locked by another process")

// TryLock takes the exclusive lock that the file at path stands for, without
// waiting. The file is made if it is missing. The lock ends when the result is
// closed, or with the process. It fails with ErrLocked if somebody else has it.
// On systems without such locks it always succeeds: there the operator has to
// see to it that one process is at work.
func TryLock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
