package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// What the record calls credentials.
const (
	tokenNoun = "tunnel_credential"
	keyNoun   = "api_key"
	sshNoun   = "ssh_public_key"
)

// tokens are the rules of authtokens or of API keys.
type tokens struct {
	resource[identity.Token]
	vault *vault.Vault
	// text makes the text of a new one.
	text func() string
}

// NewCredentials returns the rules of authtokens; hashes are made with v.
func NewCredentials(s *Shared, v *vault.Vault) Resource {
	t := newTokens(s, v, api.Credentials(), identity.Authtokens(), tokenNoun, identity.NewAuthtoken)
	t.check = func(c *change, old, o *store.Object[identity.Token]) error {
		if err := checkACL(old, o); err != nil {
			return err
		}
		return checkOwner(c, old, o)
	}
	t.render = func(_ store.Tx, caller *Caller, o *store.Object[identity.Token]) (any, error) {
		return credentialOf(caller, o), nil
	}
	return t
}

// checkACL judges the rules of a credential.
func checkACL(old, o *store.Object[identity.Token]) error {
	if n := len(o.Doc.ACL); n > claims.MaxACLRules && (old == nil || !slices.Equal(old.Doc.ACL, o.Doc.ACL)) {
		return fault.New(fault.FieldInvalid, "acl", fmt.Sprintf("it has %d rules, and at most %d are allowed", n, claims.MaxACLRules))
	}
	return claims.CheckACL(o.Doc.ACL)
}

func credentialOf(caller *Caller, o *store.Object[identity.Token]) *api.Credential {
	return &api.Credential{
		Meta: meta(caller, "/credentials", o), Texts: o.Doc.Texts, ACL: append([]string{}, o.Doc.ACL...), OwnerID: o.Doc.Owner,
	}
}

// putToken stores a credential that nobody has asked the API for, and records that.
func putToken(c *change, docs store.Collection[identity.Token], o *store.Object[identity.Token]) error {
	noun, view := recorded(c, docs, o)
	return errors.Join(docs.Put(c.tx, o), audit(c, noun+"_created", nil, view))
}

// dropToken deletes a credential that nobody has asked the API to delete, and records that.
func dropToken(c *change, docs store.Collection[identity.Token], o *store.Object[identity.Token]) error {
	noun, view := recorded(c, docs, o)
	return errors.Join(docs.Delete(c.tx, o.ID), audit(c, noun+"_deleted", view, nil))
}

// recorded returns what the record calls a credential, and the credential as callers see it.
func recorded(c *change, docs store.Collection[identity.Token], o *store.Object[identity.Token]) (noun string, view any) {
	switch docs.Kind {
	case identity.APIKeys().Kind:
		return keyNoun, apiKeyOf(c.caller, o)
	case identity.SSHKeys().Kind:
		return sshNoun, sshCredentialOf(c.caller, o)
	}
	return tokenNoun, credentialOf(c.caller, o)
}

func newTokens(s *Shared, v *vault.Vault, spec *api.Resource, docs store.Collection[identity.Token], noun string, text func() string) *tokens {
	return &tokens{
		resource: resource[identity.Token]{
			Shared: s, spec: spec, docs: docs, noun: noun,
			remove: func(c *change, o *store.Object[identity.Token]) error {
				if err := checkHolder(c, o); err != nil {
					return err
				}
				return revoke(c, o)
			},
			taken: func(*store.Object[identity.Token], *store.KeyTakenError) error {
				return errors.New("a random text was made twice")
			},
		},
		vault: v, text: text,
	}
}

// Create makes a credential. Its text is in the answer, and nowhere else.
func (t *tokens) Create(ctx context.Context, caller *Caller, body []byte) (any, error) {
	text := t.text()
	once := t.resource
	once.check = func(c *change, old, o *store.Object[identity.Token]) error {
		o.Doc.Hash, o.Doc.Prefix = identity.Hash(t.vault, text), identity.Shown(text)
		return t.check(c, old, o)
	}
	answer, err := once.Create(ctx, caller, body)
	if err != nil {
		return nil, err
	}
	switch a := answer.(type) {
	case *api.Credential:
		a.Token = &text
	case *api.APIKey:
		a.Token = &text
	}
	return answer, nil
}

// checkHolder says whether the caller may change or delete a credential: those of administrators are theirs alone, or a
// developer could lock them out.
func checkHolder(c *change, o *store.Object[identity.Token]) error {
	if c.caller.Admin || o.Doc.Owner == c.caller.Principal || identity.IsServiceUser(o.Doc.Owner) {
		return nil
	}
	users := identity.Users()
	owner, err := users.Get(c.tx, o.Doc.Owner)
	switch _, unreadable := errors.AsType[*store.UnreadableError](err); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case unreadable, err == nil && owner.Doc.Admin:
		return fault.New(fault.AdminCredential, o.ID)
	default:
		return err
	}
}

// checkOwner finds the owner of a new credential, who stays its owner for ever.
func checkOwner(c *change, old, o *store.Object[identity.Token]) error {
	if old != nil {
		return checkHolder(c, old)
	}
	named := ""
	for _, text := range []string{o.Doc.Owner, o.Doc.OwnerEmail, o.Doc.SCIMUser} {
		if text != "" && named != "" {
			return fault.New(fault.OwnerTwice)
		}
		named += text
	}
	o.Doc.OwnerEmail, o.Doc.SCIMUser = "", ""
	if named == "" {
		o.Doc.Owner = c.caller.Principal
		return nil
	}
	owner, err := findOwner(c.tx, c.caller.Account, named)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	switch {
	case !c.caller.Admin && (err != nil || identity.PrincipalID(owner) != c.caller.Principal):
		return fault.New(fault.OwnerRefused)
	case err != nil:
		return fault.New(fault.OwnerUnknown, named)
	}
	o.Doc.Owner = owner
	return nil
}

// findOwner returns the id of a user or service user of an account that is named by its id or e-mail address,
// or [ErrNotFound].
func findOwner(tx store.Tx, account, named string) (string, error) {
	users, serviceUsers := identity.Users(), identity.ServiceUsers()
	switch {
	case strings.Contains(named, "@"):
		u, err := users.Find(tx, identity.EmailKey(account, named))
		if err != nil {
			return "", err
		}
		return u.ID, nil
	case identity.IsServiceUser(named):
		u, err := serviceUsers.Get(tx, identity.PrincipalID(named))
		if err == nil && u.Account != account {
			err = store.ErrNotFound
		}
		return named, err
	}
	u, err := users.Get(tx, named)
	if err == nil && u.Account != account {
		err = store.ErrNotFound
	}
	return named, err
}

// revoke does what the end of a credential brings along: one that the server's environment sets is not made
// again.
func revoke(c *change, o *store.Object[identity.Token]) error {
	if !o.Doc.Bootstrap {
		return nil
	}
	docs := identity.RevokedTokens()
	err := docs.Put(c.tx, &store.Object[struct{}]{ID: o.Doc.Hash, Account: o.Account, CreatedAt: c.at, UpdatedAt: c.at})
	if errors.Is(err, store.ErrConflict) { // it is there
		return nil
	}
	return err
}

// revokeAll deletes the credentials of an owner.
func revokeAll(c *change, owner string) error {
	for _, docs := range []store.Collection[identity.Token]{identity.Authtokens(), identity.APIKeys(), identity.SSHKeys()} {
		for o, err := range docs.List(c.tx, store.Query{Parent: owner}) {
			if u, ok := errors.AsType[*store.UnreadableError](err); ok {
				o = &store.Object[identity.Token]{ID: u.ID, Account: u.Account}
			} else if err != nil {
				return err
			}
			if err := errors.Join(revoke(c, o), dropToken(c, docs, o)); err != nil {
				return err
			}
		}
	}
	return nil
}
