package identity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// DefaultAccount owns every token for now.
const DefaultAccount = "ac_default"

const (
	// macPurpose separates hashes of credentials from all other keyed hashes.
	macPurpose = "credential"
	// shownPrefix is how much of a generated token is kept in the clear, to tell tokens apart.
	shownPrefix = 8
	// maxNote bounds a token's note in bytes.
	maxNote = 255
	// checkPurpose is for what tells whether the keys are still those that the hashes were made with.
	checkPurpose = "credential file"
	// bootstrapNote marks the token that the environment sets.
	bootstrapNote = "bootstrap"
)

// Record is what is known of one authtoken; never the token itself.
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

// Store holds the authtokens of a server. Make one with [Open].
type Store struct {
	path  string
	vault *vault.Vault

	mu     sync.Mutex
	byHash map[string]Record // guarded by mu, as is all below
	seen   os.FileInfo       // of the file that byHash was read from; nil: there was none
}

// Open reads the tokens in the data directory dir. A missing file means none. It fails with
// fault.TokenFileDamaged, fault.SecretFileMode or, if v holds other keys than those that the tokens were
// hashed with, with fault.SealingKeyDamaged: no token could be recognised.
func Open(dir string, v *vault.Vault) (*Store, error) {
	s := &Store{path: filepath.Join(dir, tokenFile), vault: v, byHash: map[string]Record{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.refresh()
}

// Authenticate returns the record of a token. An unknown one is refused with fault.TokenMissing,
// fault.TokenMalformed, fault.TokenIsAPIKey or fault.TokenUnknown. Tokens that other processes have added or
// removed since are taken into account.
func (s *Store) Authenticate(token string) (Record, error) {
	if token == "" || len(token) > id.MaxToken {
		return Record{}, refusal(token)
	}
	hash := s.hash(token)
	s.mu.Lock()
	err := s.refresh()
	r, ok := s.byHash[hash]
	s.mu.Unlock()
	if ok {
		return r, nil
	}
	f := refusal(token)
	f.Cause = err // a file that cannot be read may be why the token is unknown
	return Record{}, f
}

// Create makes a token and returns it with its record. The token cannot be had again.
func (s *Store) Create(ctx context.Context, note string) (token string, r Record, err error) {
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "")
	}
	token = newToken()
	r = s.record(token, note)
	r.Prefix = token[:shownPrefix]
	return token, r, s.change(ctx, func(all []Record) []Record { return append(all, r) })
}

// EnsureBootstrap makes the token given by the server's environment valid, in place of one given so before.
// It may be any text of 20 to 256 bytes; otherwise the error is fault.BootstrapTokenInvalid. Without one,
// and if there is no token at all, a token is made and returned, to be shown once.
func (s *Store) EnsureBootstrap(ctx context.Context, token string) (made string, err error) {
	if token == "" {
		if len(s.List()) > 0 {
			return "", nil
		}
		made, _, err = s.Create(ctx, "made on first start")
		return made, err
	}
	if err := CheckBootstrap(token); err != nil {
		return "", err
	}
	r := s.record(token, bootstrapNote)
	r.Bootstrap = true
	s.mu.Lock()
	_, known := s.byHash[r.Hash]
	s.mu.Unlock()
	if known {
		return "", nil
	}
	return "", s.change(ctx, func(all []Record) []Record {
		return append(slices.DeleteFunc(all, func(o Record) bool { return o.Bootstrap }), r)
	})
}

// CheckBootstrap judges a token given by the environment: any text of at least 20 characters and at most 256
// bytes. Otherwise the error is fault.BootstrapTokenInvalid.
func CheckBootstrap(token string) error {
	if n := utf8.RuneCountInString(token); n < id.MinToken {
		return fault.New(fault.BootstrapTokenInvalid, n)
	}
	if n := len(token); n > id.MaxToken {
		return fault.New(fault.BootstrapTokenInvalid, n)
	}
	return nil
}

// List returns the records of all tokens, oldest first.
func (s *Store) List() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sorted()
}

// Valid returns the ids of the tokens that are valid now, those that other processes have added or removed
// included. If the file cannot be read it fails with fault.TokenFileDamaged or fault.SecretFileMode, and
// nothing is known to be invalid.
func (s *Store) Valid() (map[string]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(s.byHash))
	for _, r := range s.byHash {
		ids[r.ID] = true
	}
	return ids, nil
}

func (s *Store) sorted() []Record {
	all := make([]Record, 0, len(s.byHash))
	for _, r := range s.byHash {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Record) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

func (s *Store) record(token, note string) Record {
	return Record{
		ID: id.New("at"), Account: DefaultAccount, Note: note,
		CreatedAt: time.Now().UTC().Truncate(time.Millisecond), Hash: s.hash(token),
	}
}

func (s *Store) hash(token string) string {
	return Hash(s.vault, token)
}

// check is stored beside the hashes. It says nothing about the keys but whether they are the same.
func (s *Store) check() string {
	return KeyCheck(s.vault)
}

// change replaces the file by what edit makes of its content, with other processes kept out.
func (s *Store) change(ctx context.Context, edit func([]Record) []Record) error {
	held, err := lock(ctx, s.path+".lock")
	if err != nil {
		return fault.Wrap(err, fault.DataDirUnusable, filepath.Dir(s.path), err)
	}
	defer held.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return err
	}
	data, err := encode(edit(s.sorted()), s.check())
	if err != nil {
		return err
	}
	if err := datafile.Write(s.path, data, 0o600); err != nil {
		return fault.Wrap(err, fault.DataDirUnusable, filepath.Dir(s.path), err)
	}
	return s.refresh()
}

// refresh reads the file again if it is not the one read last. On failure the store stays as it is.
// s.mu is held.
func (s *Store) refresh() error {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.byHash, s.seen = map[string]Record{}, nil
		return nil
	case err != nil:
		return fault.Wrap(err, fault.TokenFileDamaged, s.path, err)
	case s.seen != nil && os.SameFile(s.seen, info) && s.seen.ModTime().Equal(info.ModTime()) && s.seen.Size() == info.Size():
		return nil
	}
	data, err := datafile.ReadSecret(s.path, maxFile)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return f
		}
		return fault.Wrap(err, fault.TokenFileDamaged, s.path, err)
	}
	all, check, err := decode(data)
	if err != nil {
		return fault.Wrap(err, fault.TokenFileDamaged, s.path, err)
	}
	if check != "" && check != s.check() {
		return fault.New(fault.SealingKeyDamaged, filepath.Join(filepath.Dir(s.path), "sealing.key"), "the authtokens in "+s.path+" were made with another one")
	}
	byHash := make(map[string]Record, len(all))
	for _, r := range all {
		byHash[r.Hash] = r
	}
	if len(byHash) != len(all) {
		return fault.Wrap(fmt.Errorf("%d records share %d hashes", len(all), len(byHash)), fault.TokenFileDamaged, s.path, "a token is listed twice")
	}
	s.byHash, s.seen = byHash, info
	return nil
}
