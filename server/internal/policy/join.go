package policy

import (
	"crypto/sha256"
	"slices"
)

// Before returns a document with the rules of d ahead of those of own, phase by
// phase; own's older directions come first all the same unless d uses these
// alone. Places in d mean nothing in the result: compile d by itself to judge
// it.
func (d *Document) Before(own *Document) *Document {
	switch {
	case d.Empty():
		return own
	case own.Empty() || own.disabled:
		return d
	}
	both := &Document{file: own.file, lists: slices.Concat(d.lists, own.lists)}
	both.sum = sha256.Sum256(slices.Concat(d.sum[:], own.sum[:]))
	return both
}
