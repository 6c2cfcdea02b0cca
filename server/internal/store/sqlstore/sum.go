package sqlstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert/server/internal/store"
)

// A record carries a checksum, because SQLite has none of its own: a bit that flips on the disk must not become
// another value (reliability-security.md 8, S5). Its upper half is that of the record and is compared whenever
// the record is read; the lower half is that of its keys, which a check and a backup compare.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumRecord is the upper half.
func sumRecord(r *store.Record) uint32 {
	b := make([]byte, 0, 256)
	b = appendTexts(b, r.Kind, r.ID, r.Account, r.Parent)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Revision))
	b = binary.BigEndian.AppendUint64(b, uint64(r.CreatedAt.UnixNano())) //nolint:gosec // its bits
	b = binary.BigEndian.AppendUint64(b, uint64(r.UpdatedAt.UnixNano())) //nolint:gosec // its bits
	return crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, r.Body)
}

// sumKeys is the lower half, of keys in order.
func sumKeys(keys []store.Key) uint32 {
	b := make([]byte, 0, 256)
	for _, k := range keys {
		b = appendTexts(b, k.Space, k.Value)
	}
	return crc32.Checksum(b, castagnoli)
}

// sum is the checksum of a record as it is stored.
func sum(r *store.Record, keys []store.Key) int64 {
	return int64(uint64(sumRecord(r))<<32 | uint64(sumKeys(keys))) //nolint:gosec // its bits
}

// checkSum compares the upper half.
func checkSum(r *store.Record, sum int64) error {
	if uint32(uint64(sum)>>32) == sumRecord(r) { //nolint:gosec // its bits
		return nil
	}
	return fmt.Errorf("%w: %s %q does not match its checksum", store.ErrDamaged, r.Kind, r.ID)
}

// checkKeys compares the lower half.
func checkKeys(r *store.Record, keys []store.Key, sum int64) error {
	if uint32(uint64(sum)) == sumKeys(keys) { //nolint:gosec // its bits
		return nil
	}
	return fmt.Errorf("%w: the keys of %s %q do not match their checksum", store.ErrDamaged, r.Kind, r.ID)
}

func appendTexts(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}

// inOrder returns keys sorted, each once.
func inOrder(keys []store.Key) []store.Key {
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b store.Key) int {
		return cmp.Or(strings.Compare(a.Space, b.Space), strings.Compare(a.Value, b.Value))
	})
	return slices.Compact(sorted)
}

// storable reports whether both databases can keep texts: PostgreSQL knows neither NUL nor what is no UTF-8.
func storable(texts ...string) bool {
	for _, t := range texts {
		if strings.IndexByte(t, 0) >= 0 || !utf8.ValidString(t) {
			return false
		}
	}
	return true
}

// signed is a number as databases have them; revisions stay far from its end.
func signed(r store.Revision) int64 { return int64(r) } //nolint:gosec // see above
