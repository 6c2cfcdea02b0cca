package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/culvert-project/culvert/internal/fault"
)

// keyFile is the file's name in the data directory.
const keyFile = "sealing.key"

// WriteFile replaces the file at path by data, durably and at once: whoever reads it sees the old content or
// the new one, also after a crash. Its mode is 0600.
func WriteFile(path string, data []byte) error {
	tmp, err := writeTemp(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

// createFile writes data to path unless the file exists, in which case the error is fs.ErrExist.
func createFile(path string, data []byte) error {
	tmp, err := writeTemp(path, data)
	if err != nil {
		return err
	}
	err = os.Link(tmp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without hard links: two first starts at the same moment could race here, but the
		// lock of the data directory lets one server in at a time.
		if err = os.Rename(tmp, path); err == nil {
			return syncDir(filepath.Dir(path))
		}
	}
	return errors.Join(err, os.Remove(tmp), syncDir(filepath.Dir(path)))
}

func writeTemp(path string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("create temporary file: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write temporary file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}

// syncDir makes a rename durable, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadFile reads a secret file of at most limit bytes and refuses one that others can read. A missing file
// gives fs.ErrNotExist.
func ReadFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fault.New(fault.SecretFileMode, path, fmt.Sprintf("%#o", mode))
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("the file has %d bytes, more than the %d that are possible", info.Size(), limit)
	}
	return os.ReadFile(path)
}
