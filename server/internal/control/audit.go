package control

import (
	"encoding/json"
	"fmt"

	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/store"
)

// AuditEvent is one entry of the record of changes. It holds objects as callers see them, so that no secret is
// in it.
type AuditEvent struct {
	// Type is what happened, such as "vault_created.v0".
	Type string `json:"type"`
	// Principal, Credential and Address are who did it, with which credential, from where.
	Principal  string `json:"principal,omitempty"`
	Credential string `json:"credential,omitempty"`
	Address    string `json:"address,omitempty"`
	// Before and After are the object; null where there is none.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// audits are the entries in the store. They are only ever added.
func audits() *store.Collection[AuditEvent] { return &store.Collection[AuditEvent]{Kind: "audit"} }

// audit records a change, in the same update.
func audit(c *change, what string, before, after any) error {
	o := &store.Object[AuditEvent]{ID: id.NewSorted("ev"), Account: c.caller.Account, CreatedAt: c.at, UpdatedAt: c.at}
	o.Doc = AuditEvent{Type: what + ".v0", Principal: c.caller.Principal, Credential: c.caller.Credential}
	if c.caller.Address.IsValid() {
		o.Doc.Address = c.caller.Address.String()
	}
	for _, side := range []struct {
		into  *json.RawMessage
		value any
	}{{&o.Doc.Before, before}, {&o.Doc.After, after}} {
		if side.value == nil {
			continue
		}
		raw, err := json.Marshal(side.value)
		if err != nil {
			return fmt.Errorf("audit %s: %w", what, err)
		}
		*side.into = raw
	}
	return audits().Put(c.tx, o)
}
