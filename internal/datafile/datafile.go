package datafile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/culvert-project/culvert/internal/fault"
)

// Write replaces the file at path by data, durably and at once: whoever reads
// it sees the old content or the new one. The file gets the given mode.
func Write(path string, data []byte, mode fs.FileMode) error {
	return WriteBy(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteBy is [Write] of what a function writes. If that fails, path stays as it
// was.
func WriteBy(path string, mode fs.FileMode, write func(io.Writer) error) error {
	tmp, err := writeTemp(path, mode, write)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

// Create writes data to a new file at path, with mode 0600. If the file exists
// it stays as it is and the error is fs.ErrExist.
func Create(path string, data []byte) error {
	tmp, err := writeTemp(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	err = os.Link(tmp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without hard links: two first starts at the same
		// moment could race here.
		if err = os.Rename(tmp, path); err == nil {
			return syncDir(filepath.Dir(path))
		}
	}
	return errors.Join(err, os.Remove(tmp), syncDir(filepath.Dir(path)))
}

// ReadSecret reads a file of at most limit bytes. It fails with
// fault.SecretFileMode if others than the owner may read it, and with
// fs.ErrNotExist if it is missing.
func ReadSecret(path string, limit int64) ([]byte, error) {
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

// writeTemp has a new file beside path written.
func writeTemp(path string, mode fs.FileMode, write func(io.Writer) error) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("create temporary file: %w", err)
	}
	err = write(f)
	if err == nil && mode != 0o600 {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write temporary file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}

// syncDir makes a rename durable, where the system can: on Windows no
// directory can be synced, and some file systems refuse it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
