package store

import (
	"errors"
	"fmt"
)

// UnreadableError says that a document is there and cannot be decoded: a later version has written it, or somebody
// by hand, or it does not match its checksum ([ErrDamaged]). To ask again does not help.
type UnreadableError struct {
	Kind, ID, Account, Parent string
	Err                       error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("decode %s %s of %s: %v", e.Kind, e.ID, e.Account, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// Unreadable are documents that a projection had to do without. It is the error of one that has done all else.
type Unreadable []*UnreadableError

func (u Unreadable) Error() string {
	errs := make([]error, len(u))
	for i, e := range u {
		errs[i] = e
	}
	return errors.Join(errs...).Error()
}

// Skip returns the document that err says cannot be read, and notes it; nil for all other errors, and for none.
func (u *Unreadable) Skip(err error) *UnreadableError {
	e, ok := errors.AsType[*UnreadableError](err)
	if ok {
		*u = append(*u, e)
	}
	return e
}

// Err returns the error for what was noted, nil if nothing was.
func (u Unreadable) Err() error {
	if len(u) == 0 {
		return nil
	}
	return u
}
