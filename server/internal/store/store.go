package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Revision counts the applied updates of a store. 0 is before the first one.
type Revision uint64

// Record is one document.
type Record struct {
	// Kind is what it is, such as "endpoint".
	Kind string
	// ID is unique within the kind. Later ones are greater than earlier ones (id.NewSorted).
	ID string
	// Account is the id of the account that owns it.
	Account string
	// Parent is the id of the document that it belongs to, "" if there is none. Documents can be listed by it.
	Parent string
	// Revision is that of its last change, 0 for one that is not stored.
	Revision Revision
	// CreatedAt and UpdatedAt are in UTC.
	CreatedAt, UpdatedAt time.Time
	// Keys are the names that no other record may have at the same time. They are for writing; what is read
	// does not show them.
	Keys []Key
	// Body is JSON.
	Body []byte
}

// Key is a name that only one record has: a value within a space of names.
type Key struct{ Space, Value string }

// Change says that a record was written or deleted.
type Change struct {
	Revision          Revision
	Kind, ID, Account string
	Deleted           bool
}

// Query selects records of one kind. The zero value of every other field selects all.
type Query struct {
	// Kind is required.
	Kind string
	// Account, if not "", selects those that it owns, Parent those that belong to it.
	Account, Parent string
	// Before, if not "", selects ids less than it.
	Before string
	// Limit, if not 0, is the greatest number of records.
	Limit int
}

// Store is where documents are kept.
type Store interface {
	// View calls f with a transaction that sees the store as it is at one revision, which View returns.
	View(ctx context.Context, f func(Tx) error) (Revision, error)
	// Feed is View for who follows the changes: it waits for no view, however many there are.
	Feed(ctx context.Context, f func(Tx) error) (Revision, error)
	// Update calls f with a transaction and applies what it writes, unless f fails. It returns the revision
	// that this made, or 0 if f wrote nothing. f is called at most once, and not any more when ctx has ended;
	// a panic of it is an error. It must not call Update itself. After [ErrUnavailable] the update may have been
	// applied, if the database was lost while it was committed; Changes tells.
	Update(ctx context.Context, f func(Tx) error) (Revision, error)
	// Changes yields the changes after a revision, in order, and then those to come until ctx ends, which is
	// no error. It ends with [ErrTrimmed] if it does not know all of them any more, or with [ErrUnavailable].
	Changes(ctx context.Context, since Revision) iter.Seq2[[]Change, error]
	// Close ends all use, that of Changes too. It waits for updates under way.
	Close() error
}

// Tx is a view or an update. It is valid until the function that got it returns, for one goroutine.
type Tx interface {
	// Get returns a record, or [ErrNotFound], or an [*UnreadableError] for one that is damaged.
	Get(kind, id string) (Record, error)
	// Find returns the record that has the key, or fails as Get does.
	Find(k Key) (Record, error)
	// List yields the selected records, by descending ids. Writing meanwhile is allowed. After an
	// [*UnreadableError] it goes on with the next one.
	List(q Query) iter.Seq2[Record, error]
	// Put writes a record whose Revision is the stored one, 0 if none is stored; it fails with [ErrConflict]
	// if it is not, and with [*KeyTakenError] if another record has one of its keys. Keys that it had before
	// and has no longer are free at once. What this very update has written may be written again. Texts that
	// are no UTF-8 or hold NUL, and a body that is no JSON, are the caller's mistake; the body is kept compact.
	Put(r Record) error
	// Delete removes a record and its keys, or fails with [ErrNotFound].
	Delete(kind, id string) error
}

// The ways in which a store fails, besides the end of a context.
var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict says that the record has been changed since it was read.
	ErrConflict = errors.New("store: changed by somebody else meanwhile")
	// ErrTrimmed says that the changes asked for are no longer known: everything has to be read again.
	ErrTrimmed = errors.New("store: changes no longer known")
	// ErrUnavailable says that the database cannot be reached or does not work. Nothing was written, or
	// nothing is known of it.
	ErrUnavailable = errors.New("store: the database is not available")
	// ErrDamaged says that what the database holds is not what was written. errors.Is finds ErrUnavailable too.
	ErrDamaged = fmt.Errorf("%w: it is damaged", ErrUnavailable)
	// ErrFull says that the disk is full. Nothing was written. errors.Is finds ErrUnavailable too.
	ErrFull = fmt.Errorf("%w: the disk is full", ErrUnavailable)
)

// KeyTakenError says that another record has a key.
type KeyTakenError struct {
	Key
	// Kind, ID and Account are those of its holder.
	Kind, ID, Account string
}

func (e *KeyTakenError) Error() string {
	return fmt.Sprintf("store: %s %q belongs to %s", e.Space, e.Value, e.ID)
}
