package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// An account may be named by a name that no other has.
func TestAccountNames(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	make := func() (id, notes string) {
		t.Helper()
		code, out, errs := runIn(t, dir, "account", "new", "shop", "--email", "ops@shop.test")
		if code != 0 {
			t.Fatalf("account new: exit code %d\n%s", code, errs)
		}
		return line(t, out, "account")[1], errs
	}
	first, notes := make()
	if !strings.Contains(notes, "this once") || strings.Contains(notes, "same name") {
		t.Errorf("account new says\n%s", notes)
	}
	key := strings.TrimSpace(mustIn(t, dir, "api-key", "new", "--account", "shop"))
	if h, err := rosterOf(t, dir).APIKey(t.Context(), key); err != nil || h.Account != first {
		t.Errorf("the key is of %+v, %v, want %s", h, err, first)
	}
	var shown struct {
		ID    string `json:"id"`
		Admin string `json:"admin_email"`
	}
	for l := range strings.Lines(mustIn(t, dir, "account", "list", "--output", "json")) {
		if err := json.Unmarshal([]byte(l), &shown); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
	if shown.ID != first || shown.Admin != "ops@shop.test" {
		t.Errorf("account list shows %+v last, want %s", shown, first)
	}
	second, notes := make()
	if !strings.Contains(notes, first+" has the same name") {
		t.Errorf("account new of the same name says\n%s", notes)
	}
	for _, args := range [][]string{{"api-key", "new", "--account", "shop"}, {"account", "disable", "shop"}, {"audit", "--account", "shop"}} {
		code, _, errs := runIn(t, dir, args...)
		if text := strings.Join(strings.Fields(errs), " "); code == 0 || !strings.Contains(errs, string(fault.AccountAmbiguous)) || !strings.Contains(text, first) || !strings.Contains(text, second) {
			t.Errorf("culvertd %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
		}
	}
	mustIn(t, dir, "account", "disable", second)
}

// What is not there is refused with the command that shows what is.
func TestRemediesNameTheList(t *testing.T) {
	t.Parallel()
	dir := keptDir(t)
	for want, args := range map[string][]string{
		`"culvertd account list"`:                          {"audit", "--account", "nobody"},
		`"culvertd user list --account ac_default"`:        {"user", "disable", "x@y.test"},
		`"culvertd api-key list --account ac_default"`:     {"api-key", "disable", "ak_nothing"},
		`"culvertd authtoken list --account ac_default"`:   {"authtoken", "disable", "cr_nothing"},
		`"culvertd restriction list --account ac_default"`: {"restriction", "disable", "ipx_nothing"},
	} {
		code, _, errs := runIn(t, dir, args...)
		if code == 0 || !strings.Contains(errs, want) || !strings.Contains(errs, string(fault.IdentityUnknown)) {
			t.Errorf("culvertd %s: exit code %d, and not %s in\n%s", strings.Join(args, " "), code, want, errs)
		}
	}
	if code, _, errs := runIn(t, dir, "user", "list", "--output", "xml"); code == 0 || !strings.Contains(errs, string(fault.SettingInvalid)) {
		t.Errorf("--output xml: exit code %d\n%s", code, errs)
	}
	for _, list := range []string{"user", "api-key", "authtoken"} {
		mustIn(t, dir, "authtoken", "new")
		mustIn(t, dir, "api-key", "new")
		if out := mustIn(t, dir, list, "list", "--output", "json"); !json.Valid([]byte(strings.Split(out, "\n")[0])) {
			t.Errorf("%s list as JSON:\n%s", list, out)
		}
	}
}
