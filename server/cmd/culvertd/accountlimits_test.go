package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// Limits are set, lifted and shown by the command, and each change is in the record.
func TestAccountLimits(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	shown := mustIn(t, dir, "account", "limits", "ac_default", "--set", "endpoints=20", "--set", "data_out_per_month=50GB", "--set", "vaults=0")
	for _, want := range []string{"endpoints 20", "data_out_per_month 50000000000", "vaults 0", "agents none"} {
		if text := strings.Join(strings.Fields(shown), " "); !strings.Contains(text, want) {
			t.Errorf("account limits shows no %q:\n%s", want, shown)
		}
	}
	var a struct{ Limits map[string]int64 }
	if err := json.Unmarshal([]byte(mustIn(t, dir, "account", "limits", "ac_default", "--set", "endpoints=none", "--output", "json")), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Limits) != 2 || a.Limits["vaults"] != 0 {
		t.Errorf("the limits left are %v, want those of data and vaults", a.Limits)
	}
	if record := mustIn(t, dir, "audit"); strings.Count(record, "account_updated") != 2 {
		t.Errorf("the record does not have two changes:\n%s", record)
	}
	for set, code := range map[string]fault.Code{
		"endpoint=1": fault.QuotaUnknown, "endpoints=-1": fault.QuotaValue, "endpoints": fault.QuotaValue, "endpoints=5GB": fault.QuotaValue,
		"data_out_per_month=99999999999TB": fault.QuotaValue,
	} {
		if got, _, errs := runIn(t, dir, "account", "limits", "ac_default", "--set", set); got == 0 || !strings.Contains(errs, string(code)) {
			t.Errorf("--set %s: exit code %d, want %s\n%s", set, got, code, errs)
		}
	}
}
