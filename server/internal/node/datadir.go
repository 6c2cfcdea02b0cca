package node

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

// lockFile is the file in the data directory that a running server locks.
const lockFile = "lock"

// lockDataDir makes the data directory if need be and keeps other servers out of
// it until the result is closed. It fails with fault.DataDirUnusable or
// fault.DataDirLocked.
func lockDataDir(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, reason(err))
	}
	lock, err := datafile.TryLock(filepath.Join(dir, lockFile))
	switch {
	case errors.Is(err, datafile.ErrLocked):
		return nil, fault.Wrap(err, fault.DataDirLocked, dir)
	case err != nil:
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, reason(err))
	}
	return lock, nil
}

// Keeps reports whether dir is the data directory of a server, running or not.
// It fails with fault.DataDirUnusable if it cannot be looked at.
func Keeps(dir string) (bool, error) {
	switch _, err := os.Stat(filepath.Join(dir, lockFile)); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fault.Wrap(err, fault.DataDirUnusable, dir, reason(err))
	}
}

// reason is err without the path that the message names already.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
