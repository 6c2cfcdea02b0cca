package sqlstore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

func backup(t *testing.T, s *sqlstore.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := s.Backup(t.Context(), &out); err != nil {
		t.Fatalf("Backup: %v", err)
	}
	return out.Bytes()
}

// varied writes records of several kinds, with what JSON and SQL treat in a special way.
func varied(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	var all []store.Record
	for i := range 700 { // more than a page
		r := thing(fmt.Sprintf("id%05d", i), fmt.Sprintf(`{"n":%d}`, i), store.Key{Space: "name", Value: fmt.Sprint(i)})
		r.Kind = fmt.Sprintf("kind %d", i%3)
		r.Parent = fmt.Sprintf("id%05d", i/10)
		all = append(all, r)
	}
	put(t, s, all...)
	odd := thing("odd", `{ "html" : "<a href='x'>&amp;</a>", "big": 123456789012345678901234567890.5, "u": "\u2028 `+"\u2028\u00e9\U0001f600"+`", "null": null, "deep": [[[]]] }`,
		store.Key{Space: "sp\"ace'", Value: "v\nalue\\"}, store.Key{Space: "sp\"ace'", Value: "a"}, store.Key{Space: "name", Value: "\u00e9<>&"})
	odd.Revision = put(t, s, odd)
	odd.Keys = odd.Keys[:2]
	put(t, s, odd)
	put(t, s, thing("gone", `{}`))
	if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("thing", "gone") }); err != nil {
		t.Fatal(err)
	}
}

// TestS7_BackupRoundTrip takes a backup from SQLite to PostgreSQL and back: all three are equal, and the last database
// works.
func TestS7_BackupRoundTrip(t *testing.T) {
	t.Parallel()
	first := openSQLite(t, filepath.Join(t.TempDir(), "culvert.db"))
	varied(t, first)
	want, err := contents(t, first)
	if err != nil {
		t.Fatal(err)
	}
	at := sound(t, first).Revision
	from := first
	for _, to := range []*sqlstore.Store{
		openPostgres(t, storetest.Postgres(t)),
		openSQLite(t, filepath.Join(t.TempDir(), "culvert.db")),
	} {
		name := to.Name()
		sum, err := to.Restore(t.Context(), bytes.NewReader(backup(t, from)), "b")
		if err != nil || sum.Revision != at || sum.Records != 701 {
			t.Fatalf("%s: Restore = %+v, %v, want 701 records at revision %d", name, sum, err, at)
		}
		if got, err := contents(t, to); err != nil || got != want {
			t.Errorf("%s: the contents are others, or %v", name, err)
		}
		if r := sound(t, to); r.Revision != at {
			t.Errorf("%s: the revision is %d, want %d", name, r.Revision, at)
		}
		from = to
	}
	if _, err := from.View(t.Context(), func(tx store.Tx) error {
		r, err := tx.Find(store.Key{Space: "sp\"ace'", Value: "v\nalue\\"})
		if err == nil && r.ID != "odd" {
			err = fmt.Errorf("it is %s", r.ID)
		}
		return err
	}); err != nil {
		t.Errorf("find a name after all: %v", err)
	}
	if r := put(t, from, thing("new", `{}`)); r != at+1 {
		t.Errorf("the first update after a restore is %d, want %d", r, at+1)
	}
	for _, err := range from.Changes(t.Context(), at-1) { // a restored database does not know what happened before
		if err != store.ErrTrimmed { //nolint:errorlint // that very one
			t.Errorf("Changes = %v, want %v", err, store.ErrTrimmed)
		}
		break
	}
	sound(t, from)
}

// TestS7_BackupWhileWritten: a backup is one state, whatever is written meanwhile.
func TestS7_BackupWhileWritten(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s := db.open(t)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		started := make(chan struct{})
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := try(t, s, fmt.Sprint(n)); err != nil {
					t.Errorf("Update: %v", err)
					return
				}
				if n == 20 {
					close(started)
				}
			}
		})
		<-started
		for range 3 {
			taken := backup(t, s)
			to := openSQLite(t, filepath.Join(t.TempDir(), "culvert.db"))
			if _, err := to.Restore(t.Context(), bytes.NewReader(taken), "b"); err != nil {
				t.Fatal(err)
			}
			checkPairs(t, to, nil)
		}
		stop()
		wg.Wait()
	})
}

// TestS7_DamagedBackup: what is not the backup that was written is refused by its line, and nothing of it is written.
func TestS7_DamagedBackup(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		source := openSQLite(t, filepath.Join(t.TempDir(), "culvert.db"))
		for i := range 5 {
			put(t, source, thing(fmt.Sprintf("id%d", i), fmt.Sprintf(`{"n":%d}`, i), store.Key{Space: "name", Value: fmt.Sprint(i)}))
		}
		good := string(backup(t, source))
		lines := strings.SplitAfter(good, "\n") // 7, and "" behind the last one
		with := func(i int, line string) string {
			changed := slices.Clone(lines)
			changed[i] = line
			return strings.Join(changed, "")
		}
		s := db.open(t)
		refused := func(name, text, where string) {
			t.Helper()
			_, err := s.Restore(t.Context(), strings.NewReader(text), "b.jsonl")
			if !fault.Has(err, fault.BackupUnusable) || !strings.Contains(err.Error(), "b.jsonl") || !strings.Contains(err.Error(), where) {
				t.Errorf("%s: Restore = %v, want %s at %q", name, err, fault.BackupUnusable, where)
			}
			if r := sound(t, s); r.Records != 0 || r.Revision != 0 {
				t.Fatalf("%s: it has left %+v", name, r)
			}
		}
		refused("empty", "", "Line 1")
		refused("something else", "PK\x03\x04 no backup", "Line 1")
		refused("JSON of something else", `{"format":"other"}`+"\n", "Line 1")
		refused("a later schema", with(0, strings.Replace(lines[0], `"schema":1`, `"schema":9`, 1)), "schema 9")
		refused("no schema", with(0, strings.Replace(lines[0], `"schema":1`, `"schema":0`, 1)), "Line 1: no version")
		refused("a revision at the end of numbers", with(0, regexp.MustCompile(`"revision":\d+`).ReplaceAllString(lines[0], `"revision":9223372036854775807`)), "Line 1: no version")
		for i := 1; i < len(lines)-1; i++ {
			refused("cut before a line", strings.Join(lines[:i], ""), fmt.Sprintf("Line %d", i+1))
			refused("cut within a line", strings.Join(lines[:i], "")+lines[i][:len(lines[i])/2], fmt.Sprintf("Line %d", i+1))
		}
		refused("a line missing", with(3, ""), "Line 6")
		refused("two lines exchanged", strings.Join([]string{lines[0], lines[2], lines[1], lines[3], lines[4], lines[5], lines[6]}, ""), "Line 3")
		refused("a line twice", with(2, lines[2]+lines[2]), "Line 4")
		refused("an unknown field", with(2, strings.Replace(lines[2], `{"kind"`, `{"more":1,"kind"`, 1)), "Line 3")
		refused("another body", with(4, strings.Replace(lines[4], `{"n":3}`, `{"n":4}`, 1)), "Line 5")
		refused("another name", with(4, strings.Replace(lines[4], `"name","3"`, `"name","7"`, 1)), "Line 5")
		refused("more behind it", good+"{}\n", "Line 8")
		refused("a NUL", with(1, strings.Replace(lines[1], `"ac_1"`, `"a\u0000"`, 1)), "Line 2")
		random := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // the same ones each time
		for range 60 {
			damaged := []byte(good)
			damaged[random.IntN(len(damaged)-1)] ^= 1 << random.IntN(8)
			refused("a bit", string(damaged), "Line ")
		}
		if _, err := s.Restore(t.Context(), strings.NewReader(good), "b"); err != nil {
			t.Fatalf("the good one: %v", err)
		}
		if _, err := s.Restore(t.Context(), strings.NewReader(good), "b"); !fault.Has(err, fault.DatabaseNotEmpty) {
			t.Errorf("into a full database: Restore = %v, want %s", err, fault.DatabaseNotEmpty)
		}
		sound(t, s)
	})
}

// TestCheck_Finds breaks a database from outside, in ways that its own structure does not show.
func TestCheck_Finds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ statement, want string }{
		{`UPDATE records SET body = '{"n":2}' WHERE id = 'a'`, `thing "a" does not match its checksum`},
		{`UPDATE records SET body = 'x' WHERE id = 'a'`, `thing "a" is no JSON`},
		{`UPDATE keys SET value = 'z' WHERE value = 'x'`, `the keys of thing "a" do not match`},
		{`DELETE FROM keys WHERE value = 'x'`, `the keys of thing "a" do not match`},
		{`DELETE FROM changes WHERE id = 'a'`, "the feed of changes misses 1 records"},
		{`UPDATE changes SET revision = 7 WHERE id = 'a'`, "1 changes are later than the last update"},
		{`UPDATE meta SET value = '1' WHERE name = 'revision'`, `thing "b" has revision 2, and the database 1`},
		{`UPDATE meta SET value = 'many' WHERE name = 'revision'`, `its revision is "many"`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, db database) {
				s := db.open(t)
				put(t, s, thing("a", `{"n":1}`, store.Key{Space: "name", Value: "x"}))
				put(t, s, thing("b", `{}`))
				sound(t, s)
				execute(t, db.raw(t), tt.statement)
				r, err := s.Check(t.Context())
				if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), tt.want) {
					t.Errorf("Check = %+v, %v, want %q", r, err, tt.want)
				}
			})
		})
	}
}
