package id

import (
	"crypto/rand"
	"encoding/base32"
)

// lower is base32 with the lower-case alphabet of RFC 4648 and no padding.
var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// New returns prefix, an underscore and 26 characters of lower-case base32 that hold 128 random bits:
// New("ep") is like "ep_3x5cmf2kq7vwd4ayhznbu6tj2e".
func New(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return prefix + "_" + lower.EncodeToString(b[:])
}
