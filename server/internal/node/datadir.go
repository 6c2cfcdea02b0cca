package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/culvert-project/culvert/internal/fault"
)

// lockFile is the file in the data directory that a running server locks.
const lockFile = "lock"

// lockDataDir makes the data directory if need be and keeps other servers out of
// it until the returned file is closed. It fails with fault.DataDirUnusable or
// fault.DataDirLocked.
func lockDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, reason(err))
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, reason(err))
	}
	if err := tryLock(f); err != nil {
		return nil, fault.Wrap(errors.Join(err, f.Close()), fault.DataDirLocked, dir)
	}
	return f, nil
}

// reason is err without the path that the message names already.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
