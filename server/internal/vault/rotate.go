package vault

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

// Seen is how long after a change of a key file every process that has it open works with the new keys.
const Seen = 2 * recheck

// Rotate puts a new key in front of those in a key file and keeps the others, with which cookies of clients may
// still be sealed, and values of a process that could not read the file since. Only what is beyond maxKeys is
// dropped: values sealed with it have to be wrapped anew before (see [Vault.Rewrap]). Errors are *fault.Error.
func Rotate(path string) error {
	return edit(path, func(keys []string) []string {
		secret, id := make([]byte, keyLen), make([]byte, keyIDLen)
		for _, b := range [][]byte{secret, id} {
			_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
		}
		fresh := fmt.Sprintf("key %x %s\n", id, base64.RawURLEncoding.EncodeToString(secret))
		return append([]string{fresh}, keys[:min(len(keys), maxKeys-1)]...)
	})
}

// DropOld removes all keys but the first from a key file. What was sealed with them does not open any more.
func DropOld(path string) error {
	return edit(path, func(keys []string) []string { return keys[:1] })
}

// edit replaces the lines of keys in a key file, which stays valid.
func edit(path string, change func(keys []string) []string) error {
	data, err := datafile.ReadSecret(path, maxFile)
	if err == nil {
		_, err = parse(string(data))
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if err != nil {
		return fault.Wrap(err, fault.SealingKeyDamaged, path, err)
	}
	var keys []string
	var rest strings.Builder
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "key ") {
			rest.WriteString(line)
			continue
		}
		keys = append(keys, strings.TrimRight(line, "\n")+"\n")
	}
	text := strings.TrimRight(rest.String(), "\n") + "\n" + strings.Join(change(keys), "")
	if err := datafile.Write(path, []byte(text), 0o600); err != nil {
		return fault.Wrap(err, fault.DataDirUnusable, path, err)
	}
	return nil
}

// Old reports whether an envelope is sealed with another key than the vault's first.
func (v *Vault) Old(envelope string) bool {
	sealedKey, _, _ := strings.Cut(envelope, ".")
	data, err := encoding.DecodeString(sealedKey)
	return err != nil || len(data) < keyIDLen || [keyIDLen]byte(data[:keyIDLen]) != v.current()[0].id
}
