package control_test

import (
	"context"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

// What belongs to an object that cannot be read is left out of lists with it, and can be deleted.
func TestASecretOfAnUnreadableVault(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	vaults, secrets := control.NewVaults(p.shared), control.NewSecrets(p.shared, newVault(t))
	caller := owner
	var ids []string
	for _, name := range []string{"bad", "good"} {
		v, err := vaults.Create(t.Context(), &caller, []byte(`{"name":"`+name+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		s, err := secrets.Create(t.Context(), &caller, []byte(`{"name":"a","value":"b","vault_id":"`+v.(*api.Vault).ID+`","vault_name":"`+name+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, v.(*api.Vault).ID, s.(*api.Secret).ID)
		_, err = secrets.Create(t.Context(), &caller, []byte(`{"name":"c","value":"b","vault_id":"`+v.(*api.Vault).ID+`","vault_name":"other"}`))
		wantCode(t, err, fault.FieldInvalid)
	}
	if _, err := p.shared.Store.Update(t.Context(), func(tx store.Tx) error {
		r, err := tx.Get("vault", ids[0])
		if err != nil {
			return err
		}
		r.Body = []byte(`{"name":7}`)
		return tx.Put(r)
	}); err != nil {
		t.Fatal(err)
	}
	items, _, err := secrets.List(t.Context(), &caller, control.Page{Limit: 10})
	if err != nil || len(items) != 1 || items[0].(*api.Secret).ID != ids[3] {
		t.Errorf("list = %v, %v, want %s alone", items, err, ids[3])
	}
	if err := secrets.Delete(t.Context(), &caller, ids[1]); err != nil {
		t.Error(err)
	}
}

// An object that cannot be read is left out of lists, is nobody else's, keeps nothing else from being made and can be
// deleted.
func TestAnUnreadableObject(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	shared := &control.Shared{Store: c.db, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil }}
	caller, other := owner, owner
	other.Account = "other"
	domains := control.NewDomains(shared, c.binder, control.DomainsConfig{Domains: []string{"example.com"}})
	for _, tt := range []struct {
		resource control.Resource
		kind, id string
		body     string
		create   string
	}{
		{control.NewVaults(shared), "vault", "vault_a", `{"name":7}`, `{"name":"b"}`},
		{c.Resource, control.EndpointKind, "ep_a", `{"url":7}`, `{"url":"https://b.example.com","traffic_policy":"` + hello + `"}`},
		{domains, "reserved_domain", "rd_a", `{"domain":7}`, `{"domain":"b.example.com"}`},
		{control.NewIPPolicies(shared), "ip_policy", "ipp_a", `{"description":7}`, `{}`},
	} {
		if _, err := c.db.Update(t.Context(), func(tx store.Tx) error {
			return tx.Put(store.Record{Kind: tt.kind, ID: tt.id, Account: caller.Account, CreatedAt: time.Now(), UpdatedAt: time.Now(), Body: []byte(tt.body)})
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := tt.resource.Create(t.Context(), &caller, []byte(tt.create)); err != nil {
			t.Errorf("%s: create another one: %v", tt.kind, err)
		}
		items, _, err := tt.resource.List(t.Context(), &caller, control.Page{Limit: 10})
		if err != nil || len(items) != 1 {
			t.Errorf("%s: list = %v, %v, want the one that can be read", tt.kind, items, err)
		}
		if _, err := tt.resource.Get(t.Context(), &other, tt.id); err != control.ErrNotFound { //nolint:errorlint // as it is
			t.Errorf("%s: another account gets %v, want %v", tt.kind, err, control.ErrNotFound)
		}
		if err := tt.resource.Delete(t.Context(), &other, tt.id); err != control.ErrNotFound { //nolint:errorlint // as it is
			t.Errorf("%s: another account deletes it: %v, want %v", tt.kind, err, control.ErrNotFound)
		}
		if err := tt.resource.Delete(t.Context(), &caller, tt.id); err != nil {
			t.Errorf("%s: delete: %v", tt.kind, err)
		}
		if _, err := tt.resource.Get(t.Context(), &caller, tt.id); err != control.ErrNotFound { //nolint:errorlint // as it is
			t.Errorf("%s: after that %v, want %v", tt.kind, err, control.ErrNotFound)
		}
	}
}
