package control

import (
	"context"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// serviceUsers are the rules of service users in one of their two spellings. They are stored in that of bot
// users, and found by the ids of both (api.md 1.4).
type serviceUsers struct {
	resource[identity.ServiceUser]
	shown *api.Resource // the table of this spelling
}

// NewServiceUsers returns the rules of service users.
func NewServiceUsers(s *Shared) Resource { return newServiceUsers(s, api.ServiceUsers()) }

// NewBotUsers returns the rules of service users in their older spelling.
func NewBotUsers(s *Shared) Resource { return newServiceUsers(s, api.BotUsers()) }

func newServiceUsers(s *Shared, shown *api.Resource) Resource {
	admin := func(c *change) error {
		if !c.caller.Admin {
			return fault.New(fault.ServiceUserAdmin)
		}
		return nil
	}
	return &serviceUsers{shown: shown, resource: resource[identity.ServiceUser]{
		Shared: s, spec: api.BotUsers(), docs: identity.ServiceUsers(), noun: "bot_user",
		check: func(c *change, old, o *store.Object[identity.ServiceUser]) error {
			if o.Doc.Active == nil {
				o.Doc.Active = new(true)
			}
			if err := admin(c); err != nil || old != nil {
				return err
			}
			return room(c, identity.QuotaServiceUsers, fault.ServiceUsersTooMany, identity.ServiceUsers(), nil)
		},
		remove: func(c *change, o *store.Object[identity.ServiceUser]) error {
			if err := admin(c); err != nil {
				return err
			}
			return revokeAll(c, o.ID)
		},
		taken: func(o *store.Object[identity.ServiceUser], _ *store.KeyTakenError) error {
			return fault.New(fault.ServiceUserNameTaken, o.Doc.Name)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[identity.ServiceUser]) (any, error) {
			answer := &api.ServiceUser{Meta: meta(caller, shown.Path, o), Name: o.Doc.Name, Active: *o.Doc.Active}
			answer.ID = identity.SpellServiceUser(shown.Prefix, o.ID)
			answer.URI = caller.uri(shown.Path, answer.ID)
			return answer, nil
		},
	}}
}

// Spec returns the table of this spelling.
func (u *serviceUsers) Spec() *api.Resource { return u.shown }

// Get returns a service user.
func (u *serviceUsers) Get(ctx context.Context, caller *Caller, id string) (any, error) {
	return u.resource.Get(ctx, caller, identity.PrincipalID(id))
}

// List returns a page of service users.
func (u *serviceUsers) List(ctx context.Context, caller *Caller, p Page) (items []any, more bool, err error) {
	p.Before = identity.PrincipalID(p.Before)
	return u.resource.List(ctx, caller, p)
}

// Update changes a service user.
func (u *serviceUsers) Update(ctx context.Context, caller *Caller, id string, body []byte) (any, error) {
	return u.resource.Update(ctx, caller, identity.PrincipalID(id), body)
}

// Delete removes a service user and revokes its credentials.
func (u *serviceUsers) Delete(ctx context.Context, caller *Caller, id string) error {
	return u.resource.Delete(ctx, caller, identity.PrincipalID(id))
}
