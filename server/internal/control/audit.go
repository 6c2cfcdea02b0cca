package control

import (
	"bytes"
	"crypto/sha256"
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

// audits are the entries in the store. They are only ever added, and removed when they are old (see [Gate.Run]).
func audits() *store.Collection[AuditEvent] { return &store.Collection[AuditEvent]{Kind: "audit"} }

// maxAuditText is how long a text of an object may be in the record, in bytes. Of a longer one, such as a policy, only
// length and hash are kept: it would be there twice for each change.
const maxAuditText = 4 << 10

// audit records a change, in the same update.
func audit(c *change, what string, before, after any) error {
	o := &store.Object[AuditEvent]{ID: id.NewSorted("ev"), Account: c.caller.Account, CreatedAt: c.at, UpdatedAt: c.at}
	o.Doc = AuditEvent{Type: what + ".v0", Principal: c.caller.Principal, Credential: c.caller.Credential}
	if c.caller.Command {
		o.Doc.Principal = ""
	}
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
		if err == nil && len(raw) > maxAuditText {
			raw, err = shortened(raw)
		}
		if err != nil {
			return fmt.Errorf("audit %s: %w", what, err)
		}
		*side.into = raw
	}
	return audits().Put(c.tx, o)
}

// shortened replaces the long texts of a JSON value.
func shortened(raw []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(shorten(value))
}

func shorten(value any) any {
	switch v := value.(type) {
	case string:
		if len(v) > maxAuditText {
			return fmt.Sprintf("(%d bytes, SHA-256 %x)", len(v), sha256.Sum256([]byte(v)))
		}
	case []any:
		for i := range v {
			v[i] = shorten(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = shorten(v[name])
		}
	}
	return value
}
