package sqlstore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// A backup is text, the same for both databases: a line of JSON that says what it is, one for each record by
// rising kinds and ids, and one that ends it with a checksum. Secrets in it are sealed, and the key that opens
// them is not in it.

// backupFormat is the format's name and version.
const backupFormat = "culvert-backup-1"

type backupHeader struct {
	Format    string         `json:"format"`
	Schema    int            `json:"schema"`
	Instance  string         `json:"instance"`
	Revision  store.Revision `json:"revision"`
	CreatedAt time.Time      `json:"created_at"`
}

type backupRecord struct {
	Kind      string          `json:"kind"`
	ID        string          `json:"id"`
	Account   string          `json:"account"`
	Parent    string          `json:"parent,omitempty"`
	Revision  store.Revision  `json:"revision"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Keys      [][2]string     `json:"keys,omitempty"`
	Body      json.RawMessage `json:"body"`
	// Sum is the checksum that the record has in the database too, in hexadecimal.
	Sum string `json:"sum"`
}

type backupTrailer struct {
	Records int `json:"records"`
	// SHA256 is that of all lines before, with their ends, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// Summary says what a backup holds.
type Summary struct {
	// Revision is that of the last update in it.
	Revision store.Revision
	// Records is how many there are.
	Records int
	// CreatedAt is when it was made.
	CreatedAt time.Time
}

// Backup writes all records as they are at one revision, while the store goes on. It fails with
// store.ErrDamaged rather than write what does not match its checksum.
func (s *Store) Backup(ctx context.Context, w io.Writer) (Summary, error) {
	x, err := s.begin(ctx, s.reader, s.dialect.viewOptions())
	if err != nil {
		return Summary{}, err
	}
	defer x.end()
	n, err := x.number(metaRevision)
	if err != nil {
		return Summary{}, err
	}
	h := backupHeader{Format: backupFormat, Schema: len(s.dialect.migrations()), Revision: store.Revision(n), CreatedAt: time.Now().UTC()}
	if h.Instance, err = x.text(metaInstance); err != nil {
		return Summary{}, err
	}
	hash := sha256.New()
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(io.MultiWriter(out, hash))
	lines.SetEscapeHTML(false) // bodies stay as they are, which their checksums demand
	if err := lines.Encode(&h); err != nil {
		return Summary{}, err
	}
	records := 0
	if err := x.all(func(r *row) error {
		if err := r.check(); err != nil {
			return err
		}
		if err := checkKeys(&r.Record, r.Keys, r.sum); err != nil {
			return err
		}
		records++
		return lines.Encode(export(r))
	}); err != nil {
		return Summary{}, err
	}
	if err := json.NewEncoder(out).Encode(backupTrailer{records, hex.EncodeToString(hash.Sum(nil))}); err != nil {
		return Summary{}, err
	}
	return Summary{h.Revision, records, h.CreatedAt}, out.Flush()
}

func export(r *row) *backupRecord {
	b := &backupRecord{r.Kind, r.ID, r.Account, r.Parent, r.Revision, r.CreatedAt, r.UpdatedAt, nil, r.Body, hexSum(r.sum)}
	for _, k := range r.Keys {
		b.Keys = append(b.Keys, [2]string{k.Space, k.Value})
	}
	return b
}

func hexSum(sum int64) string { return fmt.Sprintf("%016x", uint64(sum)) } //nolint:gosec // its bits

// all calls each for every record with its keys, by rising kinds and ids. Nothing of it is checked.
func (x *session) all(each func(*row) error) error {
	kind, id := "", ""
	for {
		var page []*row
		if err := x.rows(fmt.Sprintf("SELECT %s FROM records WHERE (kind, id) > ($1, $2) ORDER BY kind, id LIMIT %d", columns, recordsPage),
			[]any{kind, id}, func(scan func(...any) error) error {
				r := &row{}
				page = append(page, r)
				return scan(r.into()...)
			}); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		last := page[len(page)-1]
		if err := x.addKeys(page, kind, id, last); err != nil {
			return err
		}
		for _, r := range page {
			if err := each(r); err != nil {
				return err
			}
		}
		kind, id = last.Kind, last.ID
	}
}

// addKeys reads the keys of the records after one up to another one.
func (x *session) addKeys(page []*row, kind, id string, last *row) error {
	type name struct{ kind, id string }
	at := make(map[name]*row, len(page))
	for _, r := range page {
		at[name{r.Kind, r.ID}] = r
	}
	return x.rows("SELECT kind, id, space, value FROM keys WHERE (kind, id) > ($1, $2) AND (kind, id) <= ($3, $4) ORDER BY kind, id, space, value",
		[]any{kind, id, last.Kind, last.ID}, func(scan func(...any) error) error {
			var n name
			var k store.Key
			if err := scan(&n.kind, &n.id, &k.Space, &k.Value); err != nil {
				return err
			}
			if r := at[n]; r != nil {
				r.Keys = append(r.Keys, k)
			}
			return nil
		})
}
