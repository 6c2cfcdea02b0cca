package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Who is shut out of the API by the account's own rules gets back in with a command.
func TestRestrictionCommands(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	blue := line(t, mustIn(t, dir, "account", "new", "blue", "--email", "ann@blue.test"), "account")[1]
	restrict(t, dir, blue)
	if l := line(t, mustIn(t, dir, "restriction", "list", "--account", "blue"), "api"); l[2] != "enforced" {
		t.Errorf("restriction list: %q, want it to be enforced", l)
	}
	mustIn(t, dir, "restriction", "disable", "api", "--account", "blue")
	out := mustIn(t, dir, "restriction", "list", "--account", blue, "--output", "json")
	var r restriction
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Enforced || len(r.Policies) != 1 {
		t.Errorf("restriction list after disable: %s (%v), want it there and not enforced", out, err)
	}
	mustIn(t, dir, "restriction", "disable", r.ID, "--account", "blue")
	for _, account := range []string{"blue", identity.DefaultAccount} {
		code, _, errs := runIn(t, dir, "restriction", "disable", "agent", "--account", account)
		if code == 0 || !strings.Contains(errs, string(fault.IdentityUnknown)) || !strings.Contains(errs, "culvertd restriction list --account ac_") {
			t.Errorf("disable of what is not there in %s: exit code %d\n%s", account, code, errs)
		}
	}
	if trail := mustIn(t, dir, "audit", "--account", "blue"); !strings.Contains(trail, "ip_restriction_updated") {
		t.Errorf("the record of changes lacks it:\n%s", trail)
	}
}

// restrict makes an enforced restriction of the API whose policy lets nobody in.
func restrict(t *testing.T, dir, account string) {
	t.Helper()
	db, err := node.OpenDatabase(t.Context(), node.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // what was answered is durable
	shared := &control.Shared{Store: db, Settle: func(context.Context, store.Revision) error { return nil }, Now: time.Now}
	caller := &control.Caller{Account: account, Admin: true, Write: true}
	policy, err := control.NewIPPolicies(shared).Create(t.Context(), caller, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"type":"api","enforced":true,"ip_policy_ids":[%q]}`, policy.(*api.IPPolicy).ID)
	if _, err := control.NewIPRestrictions(shared).Create(t.Context(), caller, []byte(body)); err != nil {
		t.Fatal(err)
	}
}
