package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/vault"
)

const (
	// tokenFile is the file's name in the data directory.
	tokenFile = "tokens.json"
	// maxFile bounds its size: some 20 000 tokens.
	maxFile = 8 << 20
	// fileVersion is the version of its format.
	fileVersion = 1
)

// Record is one authtoken of the file; never the token itself.
type Record struct {
	// ID names the token: "at_…".
	ID string `json:"id"`
	// Account owns what is done with it.
	Account string `json:"account"`
	// Prefix is the beginning of a generated token, "" for one that a person chose.
	Prefix string `json:"prefix,omitempty"`
	// Note is the owner's own text.
	Note string `json:"note,omitempty"`
	// Bootstrap is set for the token that the server's environment sets.
	Bootstrap bool `json:"bootstrap,omitempty"`
	// CreatedAt is when it was made, in UTC.
	CreatedAt time.Time `json:"created_at"`
	// Hash is the keyed hash of the whole token, in base64.
	Hash string `json:"hash"`
}

// content is the file's format.
type content struct {
	Version int `json:"version"`
	// KeyCheck changes with the keys that the hashes were made with. Files of before it have none.
	KeyCheck string   `json:"key_check,omitempty"`
	Tokens   []Record `json:"tokens"`
}

// decode reads a file, strictly: a field it does not know may be a restriction it would not enforce.
func decode(data []byte) (all []Record, check string, err error) {
	var c content
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, "", err
	}
	if dec.More() {
		return nil, "", errors.New("something follows the end")
	}
	if c.Version != fileVersion {
		return nil, "", fmt.Errorf("its version is %d, and this program reads %d", c.Version, fileVersion)
	}
	for i, r := range c.Tokens {
		if r.ID == "" || r.Account == "" || r.Hash == "" {
			return nil, "", fmt.Errorf("token %d is incomplete", i)
		}
	}
	return c.Tokens, c.KeyCheck, nil
}

// imported is what the name of a token file gets behind it once the tokens are in the store.
const imported = ".imported"

// ReadFile returns the authtokens of a data directory whose server kept them in a file, none if there is no
// such file. It fails with fault.TokenFileDamaged, fault.SecretFileMode or, if v holds other keys than those
// that the tokens were hashed with, with fault.SealingKeyDamaged.
func ReadFile(dir string, v *vault.Vault) ([]Record, error) {
	path := filepath.Join(dir, tokenFile)
	data, err := datafile.ReadSecret(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return nil, f
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.TokenFileDamaged, path, err)
	}
	all, check, err := decode(data)
	if err != nil {
		return nil, fault.Wrap(err, fault.TokenFileDamaged, path, err)
	}
	if check != "" && check != KeyCheck(v) {
		return nil, fault.New(fault.SealingKeyDamaged, filepath.Join(dir, "sealing.key"), "the authtokens in "+path+" were made with another one")
	}
	return all, nil
}

// PutFileAway renames the file of [ReadFile], so that it is not read again. Without one it does nothing.
func PutFileAway(dir string) error {
	path := filepath.Join(dir, tokenFile)
	if err := os.Rename(path, path+imported); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, fault.DataDirUnusable, dir, err)
	}
	return nil
}
