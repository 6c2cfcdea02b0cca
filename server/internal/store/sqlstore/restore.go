package sqlstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// maxBackupLine bounds one line of a backup, in bytes; the greatest documents are far smaller.
const maxBackupLine = 64 << 20

// maxRevision is far beyond what updates reach, and far from where numbers end: a database that began there would
// be refused after its next update.
const maxRevision store.Revision = 1 << 62

// Restore writes the records of a backup into an empty database, all of them or none. name is how people know
// the backup. It fails with fault.BackupUnusable, which names the line, or fault.DatabaseNotEmpty.
func (s *Store) Restore(ctx context.Context, r io.Reader, name string) (Summary, error) {
	b := &backupReader{in: bufio.NewReaderSize(r, 1<<16), hash: sha256.New()}
	sum, err := s.restore(ctx, b)
	if bad, ok := errors.AsType[*lineError](err); ok {
		return Summary{}, fault.Wrap(err, fault.BackupUnusable, name, b.line, bad.text)
	}
	return sum, err
}

func (s *Store) restore(ctx context.Context, b *backupReader) (Summary, error) {
	h, err := b.header(len(s.dialect.migrations()))
	if err != nil {
		return Summary{}, err
	}
	x, err := s.begin(ctx, s.writer, nil)
	if err != nil {
		return Summary{}, err
	}
	defer x.end()
	if err := s.dialect.lock(x); err != nil {
		return Summary{}, err
	}
	if empty, err := x.empty(); err != nil {
		return Summary{}, err
	} else if !empty {
		return Summary{}, fault.New(fault.DatabaseNotEmpty, s.name)
	}
	records := 0
	for r, err := b.record(h); r != nil || err != nil; r, err = b.record(h) {
		if err != nil {
			return Summary{}, err
		}
		if err := x.insert(r); err != nil {
			return Summary{}, err
		}
		records++
	}
	if err := x.setNumber(metaRevision, uint64(h.Revision)); err != nil {
		return Summary{}, err
	}
	if err := x.setNumber(metaTrimmed, uint64(h.Revision)); err != nil { // a backup does not say what changed when
		return Summary{}, err
	}
	if err := x.commit(); err != nil {
		return Summary{}, err
	}
	s.witness.note(h.Revision)
	s.see(h.Revision)
	return Summary{h.Revision, records, h.CreatedAt}, nil
}

// empty reports whether nothing has ever been written.
func (x *session) empty() (bool, error) {
	n, err := x.number(metaRevision)
	if n != 0 || err != nil {
		return false, err
	}
	var records int64
	err = x.row("SELECT count(*) FROM records", nil, &records)
	return records == 0, err
}

func (x *session) insert(r *store.Record) error {
	if _, err := x.exec("INSERT INTO records ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		r.Kind, r.ID, r.Account, r.Parent, signed(r.Revision), r.CreatedAt.UnixNano(), r.UpdatedAt.UnixNano(), r.Body, sum(r, r.Keys)); err != nil {
		return err
	}
	for _, k := range r.Keys {
		n, err := x.exec("INSERT INTO keys (space, value, kind, id) VALUES ($1, $2, $3, $4) ON CONFLICT (space, value) DO NOTHING", k.Space, k.Value, r.Kind, r.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return &lineError{fmt.Sprintf("two records have the key %s %q", k.Space, k.Value)}
		}
	}
	return nil
}

// lineError says what is wrong with the line of a backup that was read last.
type lineError struct{ text string }

func (e *lineError) Error() string { return e.text }

// backupReader reads a backup line by line and trusts none of them.
type backupReader struct {
	in      *bufio.Reader
	hash    hash.Hash // of the lines before the current one
	text    []byte    // the current one, with its end
	line    int
	records int
	last    store.Record
}

// next reads a line. A backup that ends before its last line ends too early.
func (b *backupReader) next() error {
	b.hash.Write(b.text)
	b.text = b.text[:0]
	b.line++
	for {
		part, err := b.in.ReadSlice('\n')
		b.text = append(b.text, part...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF):
			return &lineError{"it ends there, before the line that ends a backup"}
		case !errors.Is(err, bufio.ErrBufferFull):
			return &lineError{err.Error()}
		case len(b.text) > maxBackupLine:
			return &lineError{fmt.Sprintf("it has more than %d bytes", maxBackupLine)}
		}
	}
}

// decode decodes the current line, which has the fields of v and no others.
func (b *backupReader) decode(v any) error {
	d := json.NewDecoder(bytes.NewReader(b.text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &lineError{err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &lineError{"there is more than one value"}
	}
	return nil
}

func (b *backupReader) header(schema int) (*backupHeader, error) {
	if err := b.next(); err != nil {
		return nil, err
	}
	h := &backupHeader{}
	if err := b.decode(h); err != nil || h.Format != backupFormat {
		return nil, &lineError{"it does not begin like a backup of this or an earlier version of culvertd"}
	}
	if h.Schema > schema {
		return nil, &lineError{fmt.Sprintf("a later version of culvertd made it: it has schema %d, and this version knows schemas up to %d", h.Schema, schema)}
	}
	if h.Schema < 1 || h.Revision > maxRevision {
		return nil, &lineError{fmt.Sprintf("no version of culvertd writes schema %d and revision %d", h.Schema, h.Revision)}
	}
	return h, nil
}

// record reads a record, or nil if the backup has ended as it should.
func (b *backupReader) record(h *backupHeader) (*store.Record, error) {
	if err := b.next(); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b.text, []byte(`{"records":`)) {
		return nil, b.trailer()
	}
	var in backupRecord
	if err := b.decode(&in); err != nil {
		return nil, err
	}
	r := store.Record{
		Kind: in.Kind, ID: in.ID, Account: in.Account, Parent: in.Parent, Revision: in.Revision,
		CreatedAt: in.CreatedAt.UTC(), UpdatedAt: in.UpdatedAt.UTC(), Body: in.Body,
	}
	for _, k := range in.Keys {
		r.Keys = append(r.Keys, store.Key{Space: k[0], Value: k[1]})
		if !storable(k[:]...) {
			return nil, &lineError{"a key holds the character NUL"}
		}
	}
	r.Keys = inOrder(r.Keys)
	switch {
	case r.Kind == "" || r.ID == "" || len(r.Body) == 0:
		return nil, &lineError{"the record has no kind, id or body"}
	case !storable(r.Kind, r.ID, r.Account, r.Parent):
		return nil, &lineError{"a text holds the character NUL"}
	case in.Sum != hexSum(sum(&r, r.Keys)):
		return nil, &lineError{"the line has been changed: it does not match its checksum"}
	case r.Revision == 0 || r.Revision > h.Revision:
		return nil, &lineError{fmt.Sprintf("the record's revision is %d, and the backup's %d", r.Revision, h.Revision)}
	case r.Kind < b.last.Kind || r.Kind == b.last.Kind && r.ID <= b.last.ID:
		return nil, &lineError{"the record is out of order, or there twice"}
	}
	b.last = r
	b.records++
	return &r, nil
}

// trailer compares what the last line says with what was read.
func (b *backupReader) trailer() error {
	var t backupTrailer
	if err := b.decode(&t); err != nil {
		return err
	}
	want := backupTrailer{b.records, hex.EncodeToString(b.hash.Sum(nil))}
	line, err := json.Marshal(want)
	switch {
	case err != nil:
		return err
	case t.Records != want.Records:
		return &lineError{fmt.Sprintf("there should be %d records before it, and there are %d", t.Records, want.Records)}
	case t.SHA256 != want.SHA256:
		return &lineError{"the lines before it have been changed: they do not match their checksum"}
	case string(b.text) != string(line)+"\n":
		return &lineError{"it is not as it was written"}
	}
	if _, err := b.in.ReadByte(); !errors.Is(err, io.EOF) {
		b.line++
		return &lineError{"there is more after the line that ends a backup"}
	}
	return nil
}
