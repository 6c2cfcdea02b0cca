package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// encoding is how sealed bytes are written.
var encoding = base64.RawURLEncoding.Strict()

// dataKeyPurpose separates sealed data keys from all else that is sealed.
const dataKeyPurpose = "data key"

// Secret is a value that must not show in logs, answers or errors: it prints as a placeholder.
type Secret []byte

const placeholder = "***"

// String returns the placeholder.
func (Secret) String() string { return placeholder }

// GoString returns the placeholder.
func (Secret) GoString() string { return placeholder }

// Format writes the placeholder, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(placeholder)) }

// LogValue returns the placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalJSON returns the placeholder.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + placeholder + `"`), nil }

// SealValue puts a value into an envelope: encrypted with a key of its own, which is sealed with the vault's
// (reliability-security.md 10, K4). It opens only in the same place: place names the account, kind and id of
// the document that holds it.
func (v *Vault) SealValue(place string, value Secret) string {
	secret := make([]byte, keyLen)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	aead := dataAEAD(secret)
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(value)+aead.Overhead())
	_, _ = rand.Read(nonce)
	return v.Seal(dataKeyPurpose, secret) + "." + encoding.EncodeToString(aead.Seal(nonce, nonce, value, []byte(place)))
}

// OpenValue returns the value of an envelope. It fails with [ErrSealed].
func (v *Vault) OpenValue(place, envelope string) (Secret, error) {
	sealedKey, text, ok := strings.Cut(envelope, ".")
	if !ok {
		return nil, ErrSealed
	}
	secret, err := v.Open(dataKeyPurpose, sealedKey)
	if err != nil || len(secret) != keyLen {
		return nil, ErrSealed
	}
	sealed, err := encoding.DecodeString(text)
	aead := dataAEAD(secret)
	if err != nil || len(sealed) < aead.NonceSize() {
		return nil, ErrSealed
	}
	value, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(place))
	if err != nil {
		return nil, ErrSealed
	}
	return value, nil
}

// Rewrap seals the data key of an envelope with the vault's first key; the value itself stays as it is. It
// fails with [ErrSealed].
func (v *Vault) Rewrap(envelope string) (string, error) {
	sealedKey, text, ok := strings.Cut(envelope, ".")
	if !ok {
		return "", ErrSealed
	}
	secret, err := v.Open(dataKeyPurpose, sealedKey)
	if err != nil {
		return "", err
	}
	return v.Seal(dataKeyPurpose, secret) + "." + text, nil
}

func dataAEAD(secret []byte) cipher.AEAD {
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic("vault: " + err.Error()) // the key's length is fixed
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("vault: " + err.Error()) // the block's length is fixed
	}
	return aead
}
