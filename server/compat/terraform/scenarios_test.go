package terraform_test

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/compat/apisuite"
)

// find returns one of the provider's resources.
func (r *run) find(t *testing.T, name string) *resource {
	t.Helper()
	for i := range r.all {
		if r.all[i].name == name {
			return &r.all[i]
		}
	}
	t.Fatalf("no resource %s", name)
	return nil
}

// TestAPI16_PolicyTextSurvives: a policy with comments and odd spacing comes back as it was, apply after apply.
func TestAPI16_PolicyTextSurvives(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	c := r.find(t, "cloud_endpoint")
	r.create(t, c)
	for range 2 {
		r.update(t, c)
		if got := r.read(t, c).Text("traffic_policy"); got != policyText {
			t.Errorf("traffic_policy = %q, want %q", got, policyText)
		}
	}
}

// TestAPI18_DomainOfThePlatform: an update of a domain under a base domain always carries an empty certificate id, and
// is no detachment.
func TestAPI18_DomainOfThePlatform(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	c := r.find(t, "domain")
	r.create(t, c)
	r.update(t, c)
	o := r.read(t, c)
	if o.Text("description") != c.change["description"] || o["certificate"] != nil || o["certificate_management_policy"] != nil {
		t.Errorf("the domain is %v, want another description and nothing of certificates", o)
	}
}

// TestAPI19_ServiceUserHasTwoNames: what is made as /bot_users is there as /service_users too, with the other prefix.
func TestAPI19_ServiceUserHasTwoNames(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.create(t, r.find(t, "service_user"))
	bot := r.ids["service_user"]
	suffix, ok := strings.CutPrefix(bot, "bot_")
	if !ok {
		t.Fatalf("id %s, want one with the prefix bot", bot)
	}
	for _, tt := range []struct{ pkg, id, want string }{
		{"service_users", "service_" + suffix, "service_" + suffix},
		{"service_users", bot, "service_" + suffix},
		{"bot_users", "service_" + suffix, bot},
	} {
		if got := r.Client.Must(t, tt.pkg, "Get", tt.id); got.Text("id") != tt.want || got.Text("name") != "robot" {
			t.Errorf("%s.Get(%s) = %v, want %s", tt.pkg, tt.id, got, tt.want)
		}
	}
	users, err := r.Client.List(t, "service_users", "List", apisuite.Fields{})
	if err != nil || len(users) != 1 || users[0].Text("id") != "service_"+suffix {
		t.Errorf("service_users = %v, %v; want service_%s", users, err, suffix)
	}
	keyed := r.Client.Must(t, "api_keys", "Create", apisuite.Fields{"owner_id": bot})
	if owner := keyed.Text("owner_id"); owner != bot && owner != "service_"+suffix {
		t.Errorf("owner_id = %s, want that of the service user", owner)
	}
	if _, err := r.Client.Call(t, "service_users", "Delete", "service_"+suffix); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Client.Call(t, "bot_users", "Get", bot); !r.Client.NotFound(err) {
		t.Errorf("bot_users.Get when it is gone: %v, want that it is not found", err)
	}
}
