package sqlstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// witnessSuffix is what the witness's file has behind the database's name.
const witnessSuffix = "-seen"

// witness is a small file beside that of SQLite: the last revision that was answered. SQLite takes the end of a log
// that is damaged or cut for the end of what was written; only by this is it known that there was more
// (reliability-security.md 8, S5). It is written after each commit and never synced: it may say less than was
// answered, and never more.
type witness struct {
	file     *os.File
	instance string
}

const witnessFormat = "%s %020d\n" // always as long as it was, so that one write replaces it

// readWitness returns what the witness of a database says, 0 if it says nothing.
func readWitness(path string) (instance string, r store.Revision, err error) {
	text, err := os.ReadFile(path + witnessSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", 0, err
	}
	if n, _ := fmt.Sscanf(string(text), witnessFormat, &instance, &r); n != 2 {
		return "", 0, nil
	}
	return instance, r, nil
}

// openWitness opens or makes the witness of a database.
func openWitness(path, instance string) (*witness, error) {
	f, err := os.OpenFile(path+witnessSuffix, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &witness{f, instance}, nil
}

// note writes a revision that is durable. A failure leaves an older one there, which does no harm.
func (w *witness) note(r store.Revision) {
	if w != nil {
		_, _ = w.file.WriteAt(fmt.Appendf(nil, witnessFormat, w.instance, r), 0)
	}
}

func (w *witness) close() error {
	if w == nil {
		return nil
	}
	return w.file.Close()
}

// lost is what every update of a database fails with that is empty where another one was: a server on it would be
// one that starts for the first time, and would give the names of others away (reliability-security.md 8, S5). A
// backup may be restored into it.
func lost(path string, answered store.Revision) error {
	f := fault.New(fault.DatabaseUnusable, path, fmt.Sprintf("it is empty, and %s%s beside it says that there was one with updates up to revision %d",
		path, witnessSuffix, answered))
	f.Remedy = fmt.Sprintf("Put the file back, or restore a backup with culvertd restore. To begin anew, with nothing of what was there, remove %s%s.", path, witnessSuffix)
	return f
}

// Missing returns the last revision that was answered once and that the database did not have any more when it was
// opened, or 0. Then the end of its log was lost or damaged, or somebody has put an older file in its place.
func (s *Store) Missing() store.Revision { return s.missing }
