package window

import (
	"encoding/binary"
	"hash/maphash"
)

// Key is what is counted under.
type Key [16]byte

// seeds make the hashes of this process unlike those of any other.
var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// KeyOf returns the key of a text. Texts with the same key are, for all that is
// practical, the same.
func KeyOf(text []byte) Key {
	var k Key
	binary.LittleEndian.PutUint64(k[:8], maphash.Bytes(seeds[0], text))
	binary.LittleEndian.PutUint64(k[8:], maphash.Bytes(seeds[1], text))
	return k
}

// Join appends a part to a text for KeyOf such that different lists of parts
// give different texts.
func Join(text []byte, part string) []byte {
	text = binary.AppendUvarint(text, uint64(len(part)))
	return append(text, part...)
}
