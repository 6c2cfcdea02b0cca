package id

import (
	"crypto/rand"
	"encoding/binary"
	"math/big"
	"strings"
	"time"
)

const (
	// epoch is what the time in sorted identifiers counts from, in Unix seconds.
	epoch = 1_400_000_000
	// sortedLen is the length of a sorted identifier behind its prefix.
	sortedLen = 27
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewSorted returns prefix, an underscore and 27 letters and digits (a KSUID): 4 bytes of time, 16 more, in
// base 62. Of two identifiers with the same prefix the later one is the greater, also within a second:
// the 16 bytes begin with 3 of the second's fraction. The other 13 are random.
func NewSorted(prefix string) string { return sortedAt(prefix, time.Now()) }

func sortedAt(prefix string, at time.Time) string {
	var b [20]byte
	_, _ = rand.Read(b[7:])                                    // never fails: crypto/rand ends the program instead
	binary.BigEndian.PutUint32(b[:4], uint32(at.Unix()-epoch)) //nolint:gosec // until 2150
	fraction := uint32(uint64(at.Nanosecond()) << 24 / 1e9)    //nolint:gosec // less than 2^24
	b[4], b[5], b[6] = byte(fraction>>16), byte(fraction>>8), byte(fraction)
	return prefix + "_" + encode62(b[:])
}

func encode62(b []byte) string {
	var out [sortedLen]byte
	n, base, digit := new(big.Int).SetBytes(b), big.NewInt(int64(len(base62))), new(big.Int)
	for i := sortedLen - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out[:])
}

// TimeOf returns when a sorted identifier was made, to the second. It is zero for what is none.
func TimeOf(text string) time.Time {
	_, suffix, _ := strings.Cut(text, "_")
	if len(suffix) != sortedLen || strings.Trim(suffix, base62) != "" {
		return time.Time{}
	}
	n, base := new(big.Int), big.NewInt(int64(len(base62)))
	for i := range len(suffix) {
		n.Mul(n, base).Add(n, big.NewInt(int64(strings.IndexByte(base62, suffix[i]))))
	}
	const behind = 128 // bits behind the time
	return time.Unix(epoch+n.Rsh(n, behind).Int64(), 0).UTC()
}

// IsSorted reports whether text has the form that [NewSorted] makes, with this prefix.
func IsSorted(prefix, text string) bool {
	suffix, ok := strings.CutPrefix(text, prefix+"_")
	return ok && len(suffix) == sortedLen && strings.Trim(suffix, base62) == ""
}
