package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/vault"
)

func open(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSeal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	text := v.Seal("a", []byte("hello"))
	if strings.Contains(text, "hello") || strings.ContainsAny(text, "+/=") {
		t.Errorf("Seal = %q, want URL-safe text that hides its content", text)
	}
	if again := v.Seal("a", []byte("hello")); again == text {
		t.Error("Seal gave the same text twice")
	}
	for name, w := range map[string]*vault.Vault{"same vault": v, "opened again": open(t, dir)} {
		if got, err := w.Open("a", text); err != nil || string(got) != "hello" {
			t.Errorf("%s: Open = %q, %v, want hello", name, got, err)
		}
	}
	flipped := []byte(text)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		v             *vault.Vault
		purpose, text string
	}{
		"another purpose": {v, "b", text},
		"another vault":   {open(t, t.TempDir()), "a", text},
		"changed":         {v, "a", string(flipped)},
		"cut":             {v, "a", text[:len(text)-4]},
		"key id alone":    {v, "a", text[:6]},
		"empty":           {v, "a", ""},
		"not base64":      {v, "a", "!!!"},
	} {
		if got, err := c.v.Open(c.purpose, c.text); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("%s: Open = %q, %v, want ErrSealed", name, got, err)
		}
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	want := v.MAC("p", []byte("x"))
	if got := open(t, dir).MAC("p", []byte("x")); !bytes.Equal(got, want) {
		t.Error("MAC differs after opening again")
	}
	for name, got := range map[string][]byte{
		"purpose": v.MAC("q", []byte("x")),
		"data":    v.MAC("p", []byte("y")),
		"vault":   open(t, t.TempDir()).MAC("p", []byte("x")),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("MAC does not depend on the %s", name)
		}
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sealing.key")
	v := open(t, dir)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of the key file = %o, want 600", got)
	}
	old, mac := v.Seal("a", []byte("x")), v.MAC("a", []byte("x"))

	// Rotation: a new key in front of the old one.
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rotated := strings.Replace(string(data), "key ", "key 0a0b0c0d "+strings.Repeat("A", 43)+"\nkey ", 1)
	if err := os.WriteFile(path, []byte(rotated), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, dir)
	if got, err := w.Open("a", old); err != nil || string(got) != "x" {
		t.Errorf("after rotation Open(old) = %q, %v, want x", got, err)
	}
	envelope := w.SealValue("place", []byte("x"))
	if only := open(t, keyOf(t, string(data))); !only.Old(envelope) || w.Old(envelope) {
		t.Error("after rotation Seal still uses the old key")
	}
	if !bytes.Equal(w.MAC("a", []byte("x")), mac) {
		t.Error("rotation changed MAC")
	}
}

// keyOf returns a directory with a key file.
func keyOf(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sealing.key"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestK04_RotationOfRunningProcesses: a vault that is open notices a new key, works with it, and opens what was sealed
// with the one before until that is dropped.
func TestK04_RotationOfRunningProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "sealing.key")
		running := open(t, dir)
		first := running.SealValue("place", []byte("x"))
		mac := running.MAC("p", []byte("x"))
		if err := vault.Rotate(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(vault.Seen)
		second := running.SealValue("place", []byte("y"))
		if !running.Old(first) || running.Old(second) {
			t.Fatal("the running process does not seal with the new key")
		}
		again, err := running.Rewrap(first)
		if err != nil || running.Old(again) {
			t.Fatalf("Rewrap: %v", err)
		}
		if err := vault.DropOld(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(vault.Seen)
		for name, v := range map[string]*vault.Vault{"running": running, "new": open(t, dir)} {
			if _, err := v.OpenValue("place", first); !errors.Is(err, vault.ErrSealed) {
				t.Errorf("%s: what the dropped key sealed: got %v, want ErrSealed", name, err)
			}
			for envelope, want := range map[string]string{again: "x", second: "y"} {
				if got, err := v.OpenValue("place", envelope); err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v, want %q", name, []byte(got), err, want)
				}
			}
			if !bytes.Equal(v.MAC("p", []byte("x")), mac) {
				t.Errorf("%s: rotation changed MAC", name)
			}
		}
		for range 10 { // the file does not grow without end
			if err := vault.Rotate(path); err != nil {
				t.Fatal(err)
			}
		}
		if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "\nkey ") != 8 {
			t.Errorf("after ten rotations: %v\n%s", err, data)
		}
	})
}

// TestK04_UnreadableFileIsTold: a running process that does not get the new keys goes on with those that it has, and
// says so once.
func TestK04_UnreadableFileIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "sealing.key")
		good := []byte("pepper " + strings.Repeat("A", 43) + "\nkey 0a0b0c0d " + strings.Repeat("A", 43) + "\n")
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		v := open(t, dir).Log(slog.New(slog.NewTextHandler(&log, nil)))
		for _, tt := range []struct {
			name, text string
			errs, info int
		}{
			{"as it was", string(good), 0, 0},
			{"damaged", "x", 1, 0},
			{"mended", string(good) + "# mended\n", 1, 1},
			{"another pepper", strings.Replace(string(good), "AA", "AB", 1), 2, 1},
		} {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				time.Sleep(vault.Seen)
				if _, err := v.Open("a", v.Seal("a", []byte("x"))); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
			if errs, info := strings.Count(log.String(), "level=ERROR"), strings.Count(log.String(), "level=INFO"); errs != tt.errs || info != tt.info {
				t.Errorf("%s: %d errors and %d notes were logged, want %d and %d:\n%s", tt.name, errs, info, tt.errs, tt.info, &log)
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	good := "pepper " + strings.Repeat("A", 43) + "\nkey 0a0b0c0d " + strings.Repeat("A", 43) + "\n"
	tests := []struct {
		name, content string
		mode          os.FileMode
		code          fault.Code
	}{
		{"readable by others", good, 0o644, fault.SecretFileMode},
		{"empty", "", 0o600, fault.SealingKeyDamaged},
		{"no key", "pepper " + strings.Repeat("A", 43), 0o600, fault.SealingKeyDamaged},
		{"no pepper", "key 0a0b0c0d " + strings.Repeat("A", 43), 0o600, fault.SealingKeyDamaged},
		{"two peppers", good + good, 0o600, fault.SealingKeyDamaged},
		{"short key", strings.Replace(good, "AA\n", "\n", 1), 0o600, fault.SealingKeyDamaged},
		{"short name", strings.Replace(good, "0a0b0c0d", "0a0b", 1), 0o600, fault.SealingKeyDamaged},
		{"unknown line", good + "salt x\n", 0o600, fault.SealingKeyDamaged},
		{"too large", good + strings.Repeat("#\n", 3000), 0o600, fault.SealingKeyDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "sealing.key")
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := vault.Open(dir)
			if !fault.Has(err, tt.code) {
				t.Errorf("Open = %v, want code %s", err, tt.code)
			}
			if err != nil && strings.Contains(fmt.Sprint(fault.From(err).Wire(), errors.Unwrap(err)), "AAAA") {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "sealing.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(dir); !fault.Has(err, fault.SealingKeyDamaged) {
		t.Errorf("Open with a link that leads nowhere = %v, want code %s", err, fault.SealingKeyDamaged)
	}
	if _, err := vault.Open(filepath.Join(t.TempDir(), "missing")); !fault.Has(err, fault.DataDirUnusable) {
		t.Errorf("Open of a missing directory = %v, want code %s", err, fault.DataDirUnusable)
	}
}

func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	texts := make([]string, 8)
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() {
			if v, err := vault.Open(dir); err == nil {
				texts[i] = v.Seal("a", []byte("x"))
			}
		})
	}
	wg.Wait()
	v := open(t, dir)
	for i, text := range texts {
		if _, err := v.Open("a", text); err != nil {
			t.Errorf("the vault opened by goroutine %d has other keys", i)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files in the directory: %v, %v, want the key file alone", left, err)
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "***", "12345678901": "***", "cvat_0123456789abcd": "***abcd"} {
		if got := vault.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}
