package datafile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

func TestWriteReplacesWholly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	for _, tt := range []struct {
		text string
		mode fs.FileMode
	}{{"a long first content", 0o600}, {"short", 0o644}, {"again", 0o600}} {
		if err := datafile.Write(path, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != tt.text {
			t.Errorf("content: got %q, %v; want %q", got, err, tt.text)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != tt.mode {
			t.Errorf("mode: got %v, want %v", got, tt.mode)
		}
	}
	onlyFile(t, path)
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := datafile.Create(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := datafile.Create(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: got %v, want fs.ErrExist", err)
	}
	got, err := datafile.ReadSecret(path, 5)
	if err != nil || string(got) != "first" {
		t.Errorf("content: got %q, %v; want %q", got, err, "first")
	}
	onlyFile(t, path)
}

func TestReadSecretRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := datafile.Write(path, []byte("content"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.ReadSecret(path, 100); runtime.GOOS != "windows" && !fault.Has(err, fault.SecretFileMode) {
		t.Errorf("readable by others: got %v, want %s", err, fault.SecretFileMode)
	}
	if err := datafile.Write(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.ReadSecret(path, 6); err == nil || !strings.Contains(err.Error(), "7 bytes") {
		t.Errorf("too large: got %v, want an error that says so", err)
	}
	if _, err := datafile.ReadSecret(filepath.Join(dir, "none"), 6); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want fs.ErrNotExist", err)
	}
}

func TestTryLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := datafile.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.TryLock(path); !errors.Is(err, datafile.ErrLocked) {
		t.Errorf("while it is held: got %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := datafile.TryLock(path)
	if err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// onlyFile fails if something was left beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(all) != 1 {
		t.Errorf("files left: got %v, %v; want %s alone", all, err, filepath.Base(path))
	}
}
