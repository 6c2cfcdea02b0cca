package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/vault"
)

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
