package identity

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

const (
	// patience is how long an unknown credential of our own form waits for news: another process may have made it
	// just now. What nobody can have made is refused at once.
	// It is longer than stores take to notice what others write.
	patience = time.Second
	// maxPatient is how many wait at the same time; more are refused at once.
	maxPatient = 64
)

// Holder is who holds a credential.
type Holder struct {
	// ID is that of the credential, Account that of the account that it acts for.
	ID, Account string
	// Principal is the id of its owner, a user or service user.
	Principal string
	// Admin says that the owner may do everything in the account.
	Admin bool
}

// Roster is the copy in memory of who may connect and call the API. It is a [store.Projection], safe for
// concurrent use. Make one with [NewRoster].
type Roster struct {
	vault   *vault.Vault
	waiting chan struct{} // a place for each credential that waits
	lost    chan struct{} // has one element when something was taken away

	mu    sync.RWMutex
	known known         // guarded by mu, as is moved
	moved chan struct{} // closed when known changes
}

// known is what a roster knows.
type known struct {
	accounts map[string]Account
	owners   map[string]owner // users and service users
	tokens   map[string]token // by id, of both kinds
	byHash   map[string]string
}

// owner is what matters of a user or service user.
type owner struct {
	account                 string
	admin, readOnly, active bool
}

// token is what matters of a credential.
type token struct {
	kind, hash, account, owner string
	acl                        []string
}

func newKnown() known {
	return known{map[string]Account{}, map[string]owner{}, map[string]token{}, map[string]string{}}
}

// NewRoster returns a roster that knows nobody yet; hashes are made with v.
func NewRoster(v *vault.Vault) *Roster {
	return &Roster{
		vault: v, waiting: make(chan struct{}, maxPatient), lost: make(chan struct{}, 1),
		known: newKnown(), moved: make(chan struct{}),
	}
}

// Authtoken returns who holds an authtoken. It is refused with fault.TokenMissing, fault.TokenMalformed,
// fault.TokenIsAPIKey, fault.TokenUnknown, fault.AccountSuspended or fault.OwnerInactive; with the last two
// the holder is told too.
func (r *Roster) Authtoken(ctx context.Context, text string) (Holder, error) {
	why := refusal(text)
	tokenID, t, ok := r.find(ctx, text, why.Code == fault.TokenUnknown && strings.HasPrefix(text, authtokenPrefix))
	switch {
	case !ok:
		return Holder{}, why
	case t.kind != kindAuthtoken:
		return Holder{}, fault.New(fault.TokenIsAPIKey, vault.Mask(text))
	}
	return r.holder(tokenID, t)
}

// APIKey returns who holds an API key. It is refused with fault.APIKeyMalformed, fault.APIKeyUnknown,
// fault.AuthtokenAsKey, fault.KeyIDAsKey, fault.AccountSuspended, fault.OwnerInactive or fault.OwnerReadOnly;
// with the last three the holder is told too (api.md 3.2).
func (r *Roster) APIKey(ctx context.Context, text string) (Holder, error) {
	why := keyRefusal(text)
	tokenID, t, ok := r.find(ctx, text, why.Code == fault.APIKeyUnknown && strings.HasPrefix(text, apiKeyPrefix))
	switch {
	case !ok:
		return Holder{}, why
	case t.kind != kindAPIKey:
		return Holder{}, fault.New(fault.AuthtokenAsKey, masked(text))
	}
	h, err := r.holder(tokenID, t)
	if err == nil && r.readOnly(t.owner) {
		err = fault.New(fault.OwnerReadOnly, t.owner)
	}
	return h, err
}

// SSHKey returns who has registered the key with a fingerprint. It is refused with fault.SSHKeyUnknown,
// fault.AccountSuspended or fault.OwnerInactive; with the last two the holder is told too.
func (r *Roster) SSHKey(fingerprint string) (Holder, error) {
	tokenID, t, ok, _ := r.look(fingerprint)
	if !ok || t.kind != kindSSHKey {
		return Holder{}, fault.New(fault.SSHKeyUnknown, fingerprint)
	}
	return r.holder(tokenID, t)
}

// find returns the credential with a text and its id. With wait it gives other processes time to tell of it.
func (r *Roster) find(ctx context.Context, text string, wait bool) (string, token, bool) {
	if text == "" || len(text) > id.MaxToken {
		return "", token{}, false
	}
	hash := Hash(r.vault, text)
	tokenID, t, ok, moved := r.look(hash)
	if ok || !wait {
		return tokenID, t, ok
	}
	select {
	case r.waiting <- struct{}{}:
		defer func() { <-r.waiting }()
	default:
		return "", token{}, false
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	for !ok {
		select {
		case <-moved:
			tokenID, t, ok, moved = r.look(hash)
		case <-over.C:
			return "", token{}, false
		case <-ctx.Done():
			return "", token{}, false
		}
	}
	return tokenID, t, ok
}

func (r *Roster) look(hash string) (tokenID string, t token, ok bool, moved <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	tokenID, ok = r.known.byHash[hash]
	return tokenID, r.known.tokens[tokenID], ok, r.moved
}

// holder judges the account and the owner of a credential.
func (r *Roster) holder(tokenID string, t token) (Holder, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	h := Holder{ID: tokenID, Account: t.account, Principal: t.owner, Admin: r.known.owners[t.owner].admin}
	return h, r.known.judge(t)
}

// judge says whether a credential that is known may be used.
func (k known) judge(t token) error {
	a, ok := k.accounts[t.account]
	o := k.owners[t.owner]
	switch {
	case !ok || a.Suspended:
		return fault.New(fault.AccountSuspended, t.account)
	case !o.active || o.account != t.account:
		return fault.New(fault.OwnerInactive, t.owner)
	}
	return nil
}

func (r *Roster) readOnly(owner string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known.owners[owner].readOnly
}

// Valid reports whether the authtoken or SSH key with an id may be used now.
func (r *Roster) Valid(tokenID string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.known.tokens[tokenID]
	return ok && t.kind != kindAPIKey && r.known.judge(t) == nil
}

// nothing is a rule about labels, which no endpoint has.
const nothing = "bind:none=none"

// ACL returns the rules of what the authtoken or SSH key with an id may bind. None means that it may bind everything. One that
// is not known, or not any more, may bind nothing: its session is about to end.
func (r *Roster) ACL(tokenID string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if t, ok := r.known.tokens[tokenID]; ok {
		return t.acl
	}
	return []string{nothing}
}

// Revocations delivers whenever something was taken away since the last delivery: a credential, the activity
// of an owner, an account. It is for one receiver, who asks [Roster.Valid] for what that means.
func (r *Roster) Revocations() <-chan struct{} { return r.lost }

// Load replaces the roster by what the transaction sees. What cannot be read is not known: it lets nobody in.
func (r *Roster) Load(tx store.Tx) error {
	fresh := newKnown()
	accounts, users, serviceUsers, authtokens, apiKeys, sshKeys := Accounts(), Users(), ServiceUsers(), Authtokens(), APIKeys(), SSHKeys()
	var bad store.Unreadable
	err := errors.Join(
		each(tx, &accounts, &bad, func(o *store.Object[Account]) { fresh.accounts[o.ID] = o.Doc }),
		each(tx, &users, &bad, func(o *store.Object[User]) { fresh.owners[o.ID] = userOwner(o) }),
		each(tx, &serviceUsers, &bad, func(o *store.Object[ServiceUser]) { fresh.owners[o.ID] = serviceOwner(o) }),
		each(tx, &authtokens, &bad, func(o *store.Object[Token]) { fresh.put(kindAuthtoken, o) }),
		each(tx, &apiKeys, &bad, func(o *store.Object[Token]) { fresh.put(kindAPIKey, o) }),
		each(tx, &sshKeys, &bad, func(o *store.Object[Token]) { fresh.put(kindSSHKey, o) }),
	)
	if err != nil {
		return err
	}
	r.change(true, func(k *known) { *k = fresh })
	return bad.Err()
}

func each[T any](tx store.Tx, c *store.Collection[T], bad *store.Unreadable, f func(o *store.Object[T])) error {
	for o, err := range c.List(tx, store.Query{}) {
		if bad.Skip(err) != nil {
			continue
		}
		if err != nil {
			return err
		}
		f(o)
	}
	return nil
}

func userOwner(o *store.Object[User]) owner {
	return owner{account: o.Account, admin: o.Doc.Admin, readOnly: o.Doc.ReadOnly && !o.Doc.Admin, active: !o.Doc.Inactive}
}

func serviceOwner(o *store.Object[ServiceUser]) owner {
	return owner{account: o.Account, active: o.Doc.Active == nil || *o.Doc.Active}
}

func (k *known) put(kind string, o *store.Object[Token]) {
	k.drop(o.ID)
	k.tokens[o.ID] = token{kind: kind, hash: o.Doc.Hash, account: o.Account, owner: PrincipalID(o.Doc.Owner), acl: o.Doc.ACL}
	k.byHash[o.Doc.Hash] = o.ID
}

func (k *known) drop(tokenID string) {
	if t, ok := k.tokens[tokenID]; ok {
		delete(k.tokens, tokenID)
		delete(k.byHash, t.hash)
	}
}

// Apply brings the roster up to date with records that have changed.
func (r *Roster) Apply(tx store.Tx, changes []store.Change) error {
	var edits []func(k *known)
	var bad store.Unreadable
	takes := false
	for _, c := range changes {
		edit, err := edit(tx, c)
		lost := bad.Skip(err) != nil
		if err != nil && !lost {
			return err
		}
		if edit != nil {
			edits = append(edits, edit)
			takes = takes || c.Deleted || lost || c.Kind != kindAuthtoken && c.Kind != kindAPIKey && c.Kind != kindSSHKey
		}
	}
	if len(edits) > 0 {
		r.change(takes, func(k *known) {
			for _, edit := range edits {
				edit(k)
			}
		})
	}
	return bad.Err()
}

// edit reads a record that has changed and returns what follows from it, nil if nothing does. What cannot be read
// is not known any more; that comes with the error.
func edit(tx store.Tx, c store.Change) (func(k *known), error) {
	switch c.Kind {
	case kindAccount:
		docs := Accounts()
		return read(tx, &docs, c.ID, func(k *known, o *store.Object[Account]) { k.accounts[o.ID] = o.Doc }, func(k *known) { delete(k.accounts, c.ID) })
	case kindUser:
		docs := Users()
		return read(tx, &docs, c.ID, func(k *known, o *store.Object[User]) { k.owners[o.ID] = userOwner(o) }, func(k *known) { delete(k.owners, c.ID) })
	case kindServiceUser:
		docs := ServiceUsers()
		return read(tx, &docs, c.ID, func(k *known, o *store.Object[ServiceUser]) { k.owners[o.ID] = serviceOwner(o) }, func(k *known) { delete(k.owners, c.ID) })
	case kindAuthtoken, kindAPIKey, kindSSHKey:
		docs := tokens(c.Kind)
		return read(tx, &docs, c.ID, func(k *known, o *store.Object[Token]) { k.put(c.Kind, o) }, func(k *known) { k.drop(c.ID) })
	}
	return nil, nil
}

func read[T any](tx store.Tx, docs *store.Collection[T], id string, put func(k *known, o *store.Object[T]), drop func(k *known)) (func(k *known), error) {
	o, err := docs.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return drop, nil
	}
	if err != nil {
		return drop, err
	}
	return func(k *known) { put(k, o) }, nil
}

// change edits what is known and tells who waits for news; takes says that something may be valid no longer.
func (r *Roster) change(takes bool, edit func(k *known)) {
	r.mu.Lock()
	edit(&r.known)
	close(r.moved)
	r.moved = make(chan struct{})
	r.mu.Unlock()
	if takes {
		select {
		case r.lost <- struct{}{}:
		default:
		}
	}
}
