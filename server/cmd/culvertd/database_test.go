package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// runDatabase runs culvertd with an environment of its own.
func runDatabase(t *testing.T, env map[string]string, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints strings.Builder
	p := &program{
		stdin: strings.NewReader(in), stdout: &out, stderr: &complaints, called: "culvertd",
		getenv:   func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		unsetenv: func(string) {}, terminal: func(io.Writer) bool { return false }, home: func() (string, error) { return t.TempDir(), nil },
	}
	code = p.run(t.Context(), args)
	return code, out.String(), complaints.String()
}

// dataDir makes the data directory of a server that has some documents.
func dataDir(t *testing.T, documents int) string {
	t.Helper()
	dir := t.TempDir()
	c := node.Config{DataDir: dir}
	lock, err := node.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	keys, err := node.OpenKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	db, err := node.OpenDatabase(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if _, err := db.Update(t.Context(), func(tx store.Tx) error {
		for i := range documents {
			id := fmt.Sprintf("id%d", i)
			sealed := keys.Seal("test", []byte("planted secret"))
			if err := tx.Put(store.Record{
				Kind: "thing", ID: id, Account: "ac_1", CreatedAt: at, UpdatedAt: at, Body: fmt.Appendf(nil, `{"sealed":%q}`, sealed),
				Keys: []store.Key{{Space: "name", Value: id}},
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestS7_Commands carries a database from a data directory to PostgreSQL and into another data directory.
func TestS7_Commands(t *testing.T) {
	t.Parallel()
	first, last := dataDir(t, 3), filepath.Join(t.TempDir(), "new")
	away := map[string]string{"CULVERTD_DATABASE_URL": storetest.Postgres(t)}
	file := filepath.Join(t.TempDir(), "culvert.jsonl")
	for _, tt := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, []string{"backup", file, "--data-dir", first}, "3 documents at revision 1"},
		{away, []string{"restore", file}, "3 documents at revision 1"},
		{away, []string{"db", "check"}, "nothing is wrong"},
		{away, []string{"backup", "--force", file}, "3 documents at revision 1"},
		{nil, []string{"restore", file, "--data-dir", last}, "There is no master key here: " + filepath.Join(last, "sealing.key")},
		{nil, []string{"db", "check", "--data-dir", last}, "3 documents at revision 1, and nothing is wrong"},
	} {
		if code, out, complaints := runDatabase(t, tt.env, "", tt.args...); code != 0 || !strings.Contains(out+complaints, tt.want) {
			t.Fatalf("culvertd %s: code %d\n%s%s\nwant %q", strings.Join(tt.args, " "), code, out, complaints, tt.want)
		}
	}
	lines := func(dir string) string {
		_, out, complaints := runDatabase(t, nil, "", "backup", "--data-dir", dir)
		_, records, _ := strings.Cut(out, "\n")
		records, _, whole := strings.Cut(records, `{"records":`)
		if !whole {
			t.Fatalf("%s has no whole backup: %s%s", dir, out, complaints)
		}
		return records
	}
	if got, want := lines(last), lines(first); got != want {
		t.Errorf("the last database has\n%s\nwant\n%s", got, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v, want mode 600", info, err)
	}
	code, _, complaints := runDatabase(t, nil, "", "restore", file, "--data-dir", last)
	if code == 0 || !strings.Contains(complaints, string(fault.DatabaseNotEmpty)) {
		t.Errorf("a second restore: code %d, %s, want %s", code, complaints, fault.DatabaseNotEmpty)
	}
}

// TestK5_NoKeyInBackups looks for the master key, in each way in which it could be written.
func TestK5_NoKeyInBackups(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, 3)
	_, out, _ := runDatabase(t, nil, "", "backup", "-", "--data-dir", dir)
	if !strings.Contains(out, `"sealed"`) || strings.Contains(out, "planted") {
		t.Errorf("the backup has not the sealed documents alone:\n%s", out)
	}
	keys, err := os.ReadFile(filepath.Join(dir, "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, word := range bytes.Fields(keys) {
		if len(word) < 16 {
			continue
		}
		looked++
		forms := []string{string(word), hex.EncodeToString(word), base64.StdEncoding.EncodeToString(word)}
		if raw, err := base64.StdEncoding.DecodeString(string(word)); err == nil {
			forms = append(forms, string(raw), hex.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw))
		}
		for _, form := range forms {
			if strings.Contains(out, form) {
				t.Errorf("the backup has a part of sealing.key")
			}
		}
	}
	if looked == 0 {
		t.Errorf("sealing.key has no key to look for")
	}
}

// TestDatabaseCommands_Refuse: what is wrong is said, and nothing is made or changed.
func TestDatabaseCommands_Refuse(t *testing.T) {
	t.Parallel()
	dir, empty := dataDir(t, 1), t.TempDir()
	damaged := writeFile(t, "damaged.jsonl", "no backup\n")
	standing := writeFile(t, "standing.jsonl", "a backup of last year\n")
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"no server here":   {nil, []string{"backup", "-", "--data-dir", empty}, string(fault.DataDirUnusable)},
		"nothing to check": {nil, []string{"db", "check", "--data-dir", empty}, string(fault.DataDirUnusable)},
		"no folder for it": {nil, []string{"backup", filepath.Join(empty, "no", "b"), "--data-dir", dir}, "no such file"},
		"a file there":     {nil, []string{"backup", standing, "--data-dir", dir}, string(fault.BackupExists)},
		"no backup":        {nil, []string{"restore", damaged, "--data-dir", t.TempDir()}, "Line 1"},
		"no file":          {nil, []string{"restore", damaged + "x", "--data-dir", t.TempDir()}, "no such file"},
		"which file":       {nil, []string{"restore", "--data-dir", empty}, "takes one file"},
		"two files":        {nil, []string{"backup", "a", "b", "--data-dir", dir}, "takes one file"},
		"database out of sight": {
			map[string]string{"CULVERTD_DATABASE_URL": "postgres://u:planted@127.0.0.1:1/x"}, []string{"backup", "-"}, string(fault.DatabaseUnusable),
		},
	} {
		code, out, complaints := runDatabase(t, tt.env, "", tt.args...)
		if code != 1 || !strings.Contains(complaints, tt.want) || out != "" || strings.Contains(complaints, "planted") {
			t.Errorf("%s: code %d\n%s%s\nwant %q", name, code, out, complaints, tt.want)
		}
	}
	if text, err := os.ReadFile(standing); err != nil || string(text) != "a backup of last year\n" {
		t.Errorf("the file that stood there has %q, %v", text, err)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("the empty directory holds %v, %v", left, err)
	}
}

// TestS5_CheckNamesDamage changes a document behind the server's back.
func TestS5_CheckNamesDamage(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, 3)
	raw, err := sql.Open("sqlite", filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), `UPDATE records SET account = 'ac_2' WHERE id = 'id1'`); err != nil {
		t.Fatal(err)
	}
	code, out, complaints := runDatabase(t, nil, "", "db", "check", "--data-dir", dir)
	if code != 1 || !strings.Contains(out, `thing "id1" does not match its checksum`) || !strings.Contains(complaints, string(fault.DatabaseDamaged)) {
		t.Errorf("db check: code %d\n%s%s", code, out, complaints)
	}
	file := filepath.Join(t.TempDir(), "b.jsonl")
	if code, _, complaints := runDatabase(t, nil, "", "backup", file, "--data-dir", dir); code != 1 || !strings.Contains(complaints, "id1") {
		t.Errorf("backup: code %d\n%s", code, complaints)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a backup of a damaged document was left")
	}
}
