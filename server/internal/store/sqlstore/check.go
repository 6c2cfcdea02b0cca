package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxProblems is how many problems a check tells; one damaged page can bring about thousands.
const maxProblems = 20

// Report is what a check has found.
type Report struct {
	// Revision is that of the last update, Records how many there are.
	Revision store.Revision
	Records  int
	// Problems say what is wrong, one sentence each. More is how many there are besides.
	Problems []string
	More     int
}

func (r *Report) add(format string, args ...any) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Check reads all of the database as it is at one revision and compares what has to fit together: its own
// structure, checksums, keys, documents and revisions. It changes nothing. Its error says why it could not
// check; what it has found is in the report.
func (s *Store) Check(ctx context.Context) (*Report, error) {
	x, err := s.begin(ctx, s.reader, s.dialect.viewOptions())
	if err != nil {
		return nil, err
	}
	defer x.end()
	r := &Report{}
	if s.missing > 0 {
		r.add("the last updates are missing: revision %d was answered once", s.missing)
	}
	if err := s.failure(); fault.Has(err, fault.DatabaseUnusable) {
		r.add("%s", fault.From(err).Message)
	}
	for _, part := range []func(*session) error{r.structure, r.records, r.changes} {
		switch err := part(x); {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrDamaged):
			return nil, err
		default:
			r.add("%v", err)
			if s.failure() != nil {
				return r, nil // it says why; with a table missing, the rest would only fail too
			}
		}
	}
	return r, nil
}

func (r *Report) structure(x *session) error {
	problems, err := x.store.dialect.integrity(x)
	for _, p := range problems {
		r.add("%s", p)
	}
	return err
}

func (r *Report) records(x *session) error {
	n, err := x.number(metaRevision)
	if err != nil {
		return err
	}
	r.Revision = store.Revision(n)
	return x.all(func(row *row) error {
		r.Records++
		r.record(row)
		return nil
	})
}

func (r *Report) record(row *row) {
	for _, err := range []error{row.check(), checkKeys(&row.Record, row.Keys, row.sum)} {
		if err != nil {
			r.add("%v", err)
		}
	}
	if !json.Valid(row.Body) {
		r.add("%s %q is no JSON", row.Kind, row.ID)
	}
	if row.Revision == 0 || row.Revision > r.Revision {
		r.add("%s %q has revision %d, and the database %d", row.Kind, row.ID, row.Revision, r.Revision)
	}
}

// changes checks that the feed tells of each change that it should.
func (r *Report) changes(x *session) error {
	trimmed, err := x.number(metaTrimmed)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		query, problem string
		args           []any
	}{
		{"SELECT count(*) FROM keys WHERE NOT EXISTS (SELECT 1 FROM records WHERE records.kind = keys.kind AND records.id = keys.id)", "%d keys belong to no record", nil},
		{"SELECT count(*) FROM changes WHERE revision > $1", "%d changes are later than the last update", []any{signed(r.Revision)}},
		{"SELECT count(*) FROM records WHERE revision > $1 AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.revision = records.revision" +
			" AND changes.kind = records.kind AND changes.id = records.id AND NOT changes.deleted)", "the feed of changes misses %d records", []any{signed(store.Revision(trimmed))}},
	} {
		var n int64
		if err := x.row(c.query, c.args, &n); err != nil {
			return err
		}
		if n != 0 {
			r.add(c.problem, n)
		}
	}
	return nil
}
