package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

// lockFile is the file in the data directory that a running server locks.
const lockFile = "lock"

// lockDataDir makes the data directory if need be and keeps other servers out of
// it until the result is closed. It fails with fault.DataDirUnusable,
// fault.DataDirOpen or fault.DataDirLocked.
func lockDataDir(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	if err := checkMode(dir); err != nil {
		return nil, err
	}
	lock, err := datafile.TryLock(filepath.Join(dir, lockFile))
	switch {
	case errors.Is(err, datafile.ErrLocked):
		return nil, fault.Wrap(err, fault.DataDirLocked, dir)
	case err != nil:
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	return lock, nil
}

// Lock makes dir a data directory, if it is none yet, and keeps servers out of it
// until the result is closed. It fails with fault.DataDirUnusable,
// fault.DataDirOpen or fault.DataDirLocked.
func Lock(dir string) (io.Closer, error) { return lockDataDir(dir) }

// Taken reports whether a server that runs now has dir as its data directory.
func Taken(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil {
		return false
	}
	lock, err := lockDataDir(dir)
	if err == nil {
		_ = lock.Close() // it was free
	}
	return fault.Has(err, fault.DataDirLocked)
}

// checkMode refuses a directory in which everybody may write: whoever does could
// put keys of their own there. A group that may is the operator's choice, and
// some systems give each user one. The mode is not mended, because by then it is
// too late to trust what lies there.
func checkMode(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o002 != 0 {
		return fault.New(fault.DataDirOpen, dir, fmt.Sprintf("%#o", mode))
	}
	return nil
}

// Keeps reports whether dir is the data directory of a server, running or not.
// It fails with fault.DataDirUnusable if it cannot be looked at, and with
// fault.DataDirOpen as a server would.
func Keeps(dir string) (bool, error) {
	switch _, err := os.Stat(filepath.Join(dir, lockFile)); {
	case err == nil:
		return true, checkMode(dir)
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
}
