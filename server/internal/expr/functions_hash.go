package expr

import (
	"crypto/md5"  //nolint:gosec // policies hash with what their peers use
	"crypto/sha1" //nolint:gosec // policies hash with what their peers use
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"hash/crc64"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/cespare/xxhash/v2"
)

var hashes = map[string]func([]byte) []byte{
	"md5":      func(b []byte) []byte { h := md5.Sum(b); return h[:] },  //nolint:gosec // as above
	"sha1":     func(b []byte) []byte { h := sha1.Sum(b); return h[:] }, //nolint:gosec // as above
	"sha256":   func(b []byte) []byte { h := sha256.Sum256(b); return h[:] },
	"sha512":   func(b []byte) []byte { h := sha512.Sum512(b); return h[:] },
	"crc32":    func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) },
	"crc64":    func(b []byte) []byte { return binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, crc64ISO)) },
	"xxhash64": func(b []byte) []byte { return binary.BigEndian.AppendUint64(nil, xxhash.Sum64(b)) },
}

var crc64ISO = crc64.MakeTable(crc64.ISO)

// hashFunctions are hash.name(text[, format]) and text.name([format])
// (traffic-policy.md 9.5).
func hashFunctions() []cel.EnvOption {
	var opts []cel.EnvOption
	for name, sum := range hashes {
		f := func(a ...ref.Val) ref.Val {
			as := "hex"
			if len(a) == 2 {
				as = str(a[1])
			}
			switch as {
			case "hex":
				return value(hex.EncodeToString(sum([]byte(str(a[0])))), nil)
			case "base64":
				return value(base64.StdEncoding.EncodeToString(sum([]byte(str(a[0])))), nil)
			}
			return value("", fmt.Errorf("a hash is given as hex or base64, not %q", as))
		}
		opts = append(
			opts,
			cel.Function("hash."+name,
				cel.Overload("hash_"+name, []*cel.Type{textType}, textType, cel.FunctionBinding(f)),
				cel.Overload("hash_"+name+"_as", []*cel.Type{textType, textType}, textType, cel.FunctionBinding(f))),
			cel.Function(name,
				cel.MemberOverload("string_"+name, []*cel.Type{textType}, textType, cel.FunctionBinding(f)),
				cel.MemberOverload("string_"+name+"_as", []*cel.Type{textType, textType}, textType, cel.FunctionBinding(f))),
		)
	}
	return opts
}
