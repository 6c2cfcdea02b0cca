package sqlstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// contents is all that a store holds, as a backup has it, without the line that says when it was made.
func contents(t *testing.T, s *sqlstore.Store) (string, error) {
	t.Helper()
	var out bytes.Buffer
	if _, err := s.Backup(t.Context(), &out); err != nil {
		return "", err
	}
	_, records, _ := strings.Cut(out.String(), "\n")
	records, _, _ = strings.Cut(records, `{"records":`)
	return records, nil
}

// filled makes a database with some records whose pages have all been moved into the file, and returns its bytes and
// contents.
func filled(t *testing.T) (file []byte, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	for i := range 40 {
		id := fmt.Sprintf("id%04d", i)
		put(t, s, thing(id, fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat("x", 40*(i%7))), store.Key{Space: "name", Value: "of " + id}))
	}
	want, err := contents(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

// judged opens a damaged file and says how the damage was noticed, "" if it was not.
func judged(t *testing.T, path string) (noticed, got string, found int) {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), path)
	if err != nil {
		if !fault.Has(err, fault.DatabaseUnusable) {
			t.Errorf("OpenSQLite = %v, want %s", err, fault.DatabaseUnusable)
		}
		return "at the start", "", 0
	}
	defer s.Close()
	got, err = contents(t, s)
	report, checkErr := s.Check(t.Context())
	switch {
	case err != nil && checkErr == nil && len(report.Problems) == 0:
		t.Errorf("reading fails with %v, and a check finds nothing", err)
	case err != nil:
		return "when read", "", 0
	case checkErr != nil || len(report.Problems) > 0:
		return "by a check", got, 0
	}
	for _, line := range strings.Split(got, "\n") { // each name still finds its record
		if _, rest, ok := strings.Cut(line, `"keys":[["name","`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			if _, err := s.View(t.Context(), func(tx store.Tx) error {
				_, err := tx.Find(store.Key{Space: "name", Value: name})
				return err
			}); err == nil {
				found++
			}
		}
	}
	return "", got, found
}

// TestS5_BitFlips flips bits of the file one by one. Each flip is noticed, or changes nothing of what is read.
func TestS5_BitFlips(t *testing.T) {
	t.Parallel()
	file, want := filled(t)
	names := strings.Count(want, `"keys"`)
	random := rand.New(rand.NewPCG(5, 5)) //nolint:gosec // the same ones each time
	how := map[string]int{}
	for range 150 / sparse {
		at, bit := random.IntN(len(file)), random.IntN(8)
		damaged := slices.Clone(file)
		damaged[at] ^= 1 << bit
		path := filepath.Join(t.TempDir(), "culvert.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		noticed, got, found := judged(t, path)
		if noticed == "" && (got != want || found != names) {
			t.Errorf("bit %d of byte %d: nobody notices that the contents are others", bit, at)
		}
		if noticed == "by a check" && got != want {
			noticed = "by a check, though it reads otherwise"
		}
		how[noticed]++
	}
	t.Logf("%d bytes, noticed: %v", len(file), how)
}

// TestS5_TornPages puts an old or an empty page in the place of each page.
func TestS5_TornPages(t *testing.T) {
	t.Parallel()
	file, want := filled(t)
	const page = 4096
	how := map[string]int{}
	for at := 0; at < len(file); at += page {
		for _, half := range []int{page, page / 2} {
			damaged := slices.Clone(file)
			clear(damaged[at+page-half : at+page])
			path := filepath.Join(t.TempDir(), "culvert.db")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			noticed, got, _ := judged(t, path)
			if noticed == "" && got != want {
				t.Errorf("page %d: nobody notices that the contents are others", at/page+1)
			}
			how[noticed]++
		}
	}
	t.Logf("noticed: %v", how)
}

// TestS5_WAL damages or cuts the log of a process that was killed. What remains is the database as it was after one of
// the updates, whole; and if that was not the last one, it is said.
func TestS5_WAL(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	states := map[string]bool{}
	var last string
	for i := range 12 {
		if i > 0 {
			put(t, s, thing(fmt.Sprintf("id%04d", i), fmt.Sprintf(`{"n":%d}`, i)))
		}
		now, err := contents(t, s)
		if err != nil {
			t.Fatal(err)
		}
		last = now
		states[now] = true
	}
	files := map[string][]byte{} // as a killed process leaves them: nothing moves them now
	for _, suffix := range []string{"", "-wal", "-seen"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files[suffix] = content
	}
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same ones each time
	how := map[string]int{}
	for i := range 60 / sparse {
		path := filepath.Join(t.TempDir(), "culvert.db")
		for suffix, content := range files {
			damaged := slices.Clone(content)
			if suffix == "-wal" {
				if i%2 == 0 {
					damaged = damaged[:random.IntN(len(damaged))]
				} else {
					damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
				}
			}
			if err := os.WriteFile(path+suffix, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		noticed, got, _ := judged(t, path)
		if noticed == "" && got != last {
			t.Error("updates are missing, and nobody says so")
		}
		if noticed == "by a check" && !states[got] {
			t.Error("the contents are those after none of the updates")
		}
		how[noticed]++
	}
	t.Logf("noticed: %v", how)
}

// TestS5_OlderFile puts an older copy of the database in its place. That is said until the next update.
func TestS5_OlderFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	put(t, s, thing("a", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	older, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s = openSQLite(t, path)
	put(t, s, thing("b", "1"))
	put(t, s, thing("c", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSQLite(t, path)
	if got := s.Missing(); got != 3 {
		t.Errorf("Missing = %d, want 3", got)
	}
	put(t, s, thing("d", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSQLite(t, path)
	if got := s.Missing(); got != 0 {
		t.Errorf("after an update Missing = %d, want 0", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestS5_LostFile removes or empties a database. An empty one in its place is not taken for that of a first start, by a
// server or a command, until a backup is restored into it or the witness is gone.
func TestS5_LostFile(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(path string) error{
		"gone": os.Remove, "empty": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "culvert.db")
			s := openSQLite(t, path)
			if err := s.Hold(t.Context()); err != nil {
				t.Errorf("a first start: %v", err)
			}
			put(t, s, thing("a", "1"))
			var backup bytes.Buffer
			if _, err := s.Backup(t.Context(), &backup); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Close(), lose(path)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the first one sets an empty database up
				s = openSQLite(t, path)
				if err := s.Hold(t.Context()); !fault.Has(err, fault.DatabaseUnusable) || !strings.Contains(fault.From(err).Remedy, path+"-seen") {
					t.Errorf("Hold = %v, want %s and the witness's name", err, fault.DatabaseUnusable)
				}
				if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(thing("b", "1")) }); !fault.Has(err, fault.DatabaseUnusable) {
					t.Errorf("Update = %v, want %s", err, fault.DatabaseUnusable)
				}
				if r, err := s.Check(t.Context()); err != nil || len(r.Problems) == 0 {
					t.Errorf("Check = %v, %v, want a problem", r, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = openSQLite(t, path)
			if _, err := s.Restore(t.Context(), &backup, "b"); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openSQLite(t, path)
			if err := s.Hold(t.Context()); err != nil {
				t.Errorf("after a restore: %v", err)
			}
			put(t, s, thing("b", "1"))
			if err := errors.Join(s.Close(), lose(path), os.Remove(path+"-seen")); err != nil {
				t.Fatal(err)
			}
			s = openSQLite(t, path)
			if err := s.Hold(t.Context()); err != nil {
				t.Errorf("without the witness: %v", err)
			}
			put(t, s, thing("c", "1"))
		})
	}
}
