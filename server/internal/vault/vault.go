package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

// File is the name of the key file in the data directory.
const File = "sealing.key"

const (
	keyLen   = 32 // bytes of each key
	keyIDLen = 4  // bytes of a key's name
	maxKeys  = 8
	maxFile  = 4 << 10
)

// ErrSealed says that text was not sealed by this vault for this purpose, or was changed since.
var ErrSealed = errors.New("vault: text cannot be opened")

// Vault holds the server's keys. Make one with [Open].
type Vault struct {
	path   string
	pepper []byte
	keys   atomic.Pointer[[]key] // the first one seals

	mu      sync.Mutex
	checkAt time.Time    // when the file is looked at again; guarded by mu, as are the next
	seen    os.FileInfo  // of the file that the keys are from
	log     *slog.Logger // nil: nothing is logged
	stale   string       // why the file cannot be used now, "" if it can
}

type key struct {
	id     [keyIDLen]byte
	secret []byte
}

// recheck is how often the file is looked at, as long as something is sealed or opened.
const recheck = time.Second

// Open reads the keys from the data directory dir, and makes them if there are none. Errors are *fault.Error:
// fault.SecretFileMode, fault.SealingKeyDamaged or fault.DataDirUnusable.
func Open(dir string) (*Vault, error) { return OpenFile(filepath.Join(dir, File)) }

// OpenFile is [Open] for a file of any name, in a directory that exists.
func OpenFile(path string) (*Vault, error) {
	dir := filepath.Dir(path)
	v, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	err = datafile.Create(path, newKeys())
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	if v, err = load(path); errors.Is(err, fs.ErrNotExist) { // a name that leads nowhere
		err = fault.Wrap(err, fault.SealingKeyDamaged, path, "it is a link to a file that does not exist")
	}
	return v, err
}

func load(path string) (*Vault, error) {
	seen, err := os.Stat(path) // before it is read: a change in between is seen at the next look
	if err != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err := datafile.ReadSecret(path, maxFile)
	if err != nil {
		if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fault.Wrap(err, fault.SealingKeyDamaged, path, err)
	}
	v, err := parse(string(data))
	if err != nil {
		return nil, fault.Wrap(err, fault.SealingKeyDamaged, path, err)
	}
	v.path, v.seen = path, seen
	return v, nil
}

// current returns the keys, read again if the file has changed: another process may have put a new one in front
// (see [Rotate]). A file that cannot be used changes nothing, and is logged (see [Vault.Log]).
func (v *Vault) current() []key {
	if v.mu.TryLock() { // whoever comes meanwhile takes the old ones
		if now := time.Now(); !now.Before(v.checkAt) {
			v.checkAt = now.Add(recheck)
			v.refresh()
		}
		v.mu.Unlock()
	}
	return *v.keys.Load()
}

// refresh is called with mu held.
func (v *Vault) refresh() {
	info, err := os.Stat(v.path)
	if err == nil && v.seen != nil && os.SameFile(v.seen, info) && info.ModTime().Equal(v.seen.ModTime()) && info.Size() == v.seen.Size() {
		v.failed(nil)
		return
	}
	if err != nil {
		v.failed(err)
		return
	}
	read, err := load(v.path)
	if err == nil && !hmac.Equal(read.pepper, v.pepper) {
		err = errors.New("it has another pepper")
	}
	if v.failed(err); err != nil {
		return
	}
	v.keys.Store(read.keys.Load())
	v.seen = read.seen
}

// failed logs that the file cannot be used, once for each reason, or that it can be again. Called with mu held.
func (v *Vault) failed(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why == v.stale {
		return
	}
	v.stale = why
	switch {
	case v.log == nil:
	case err == nil:
		v.log.Info("the key file can be read again", "path", v.path)
	default:
		v.log.Error("the key file cannot be read: secrets are sealed with the keys of before, which culvertd rotate-key --drop-old removes", "path", v.path, "err", err)
	}
}

// Log lets the vault log when the file cannot be read again while it is in use. It returns v.
func (v *Vault) Log(log *slog.Logger) *Vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.log = log
	return v
}

// newKeys returns the text of a fresh key file.
func newKeys() []byte {
	pepper, secret, id := make([]byte, keyLen), make([]byte, keyLen), make([]byte, keyIDLen)
	for _, b := range [][]byte{pepper, secret, id} {
		_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	}
	return fmt.Appendf(nil, "# The keys of a Culvert server. Keep this file secret and keep a copy of it apart from the data.\n"+
		"pepper %s\nkey %x %s\n", base64.RawURLEncoding.EncodeToString(pepper), id, base64.RawURLEncoding.EncodeToString(secret))
}

// parse reads a key file: one line "pepper SECRET" and one or more lines "key ID SECRET".
func parse(text string) (*Vault, error) {
	v := new(Vault)
	var keys []key
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) == 2 && fields[0] == "pepper" && v.pepper == nil:
			secret, err := decodeKey(fields[1])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			v.pepper = secret
		case len(fields) == 3 && fields[0] == "key" && len(keys) < maxKeys:
			secret, err := decodeKey(fields[2])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			k := key{secret: secret}
			if id, err := hex.DecodeString(fields[1]); err != nil || copy(k.id[:], id) != keyIDLen || len(id) != keyIDLen {
				return nil, fmt.Errorf("line %d: the key's name is not 8 hexadecimal digits", n)
			}
			keys = append(keys, k)
		default:
			return nil, fmt.Errorf("line %d is not understood", n)
		}
	}
	if v.pepper == nil || len(keys) == 0 {
		return nil, errors.New("the pepper or the key is missing")
	}
	v.keys.Store(&keys)
	return v, nil
}

func decodeKey(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != keyLen {
		return nil, fmt.Errorf("a key is not %d bytes of base64", keyLen)
	}
	return b, nil
}

// Seal encrypts and authenticates plaintext for one purpose. The result is URL-safe text.
func (v *Vault) Seal(purpose string, plaintext []byte) string {
	k := v.current()[0]
	aead := k.aead(purpose)
	out := make([]byte, keyIDLen+aead.NonceSize(), keyIDLen+aead.NonceSize()+len(plaintext)+aead.Overhead())
	copy(out, k.id[:])
	nonce := out[keyIDLen:]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(aead.Seal(out, nonce, plaintext, k.id[:]))
}

// Open returns what was sealed for the same purpose with any of the vault's keys. It fails with [ErrSealed].
func (v *Vault) Open(purpose, text string) ([]byte, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < keyIDLen {
		return nil, ErrSealed
	}
	for _, k := range v.current() {
		if [keyIDLen]byte(data[:keyIDLen]) != k.id {
			continue
		}
		aead := k.aead(purpose)
		if len(data) < keyIDLen+aead.NonceSize() {
			return nil, ErrSealed
		}
		sealed := data[keyIDLen:]
		plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], k.id[:])
		if err != nil {
			return nil, ErrSealed
		}
		return plain, nil
	}
	return nil, ErrSealed
}

// MAC returns the keyed hash (HMAC-SHA-256) of data for one purpose. It stays the same for as long as the
// pepper does, so it may be stored.
func (v *Vault) MAC(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, derive(v.pepper, "mac "+purpose))
	h.Write(data)
	return h.Sum(nil)
}

func (k key) aead(purpose string) cipher.AEAD {
	block, err := aes.NewCipher(derive(k.secret, "seal "+purpose))
	if err != nil {
		panic("vault: " + err.Error()) // the key's length is fixed
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("vault: " + err.Error()) // the block's length is fixed
	}
	return aead
}

// derive makes the key for one purpose.
func derive(secret []byte, purpose string) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, "culvert "+purpose, keyLen)
	if err != nil {
		panic("vault: " + err.Error()) // the length is fixed
	}
	return k
}
