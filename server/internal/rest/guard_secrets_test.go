package rest_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/control"
)

// TestDeletedSecretThatAPolicyNames: the log says so, with the endpoint and without the value, and says nothing of
// secrets that no policy names.
func TestDeletedSecretThatAPolicyNames(t *testing.T) {
	t.Parallel()
	var log strings.Builder // requests come one by one
	g := guard(t, func(g *guarded) control.Resource {
		g.shared.Log = slog.New(slog.NewTextHandler(&log, nil))
		return control.NewEndpoints(g.shared, g.binder, nobodyOnline{})
	})
	v := g.make("/vaults", `{"name":"shop"}`)
	secret := func(name string) string {
		return g.make("/vault_secrets", fmt.Sprintf(`{"name":%q,"value":"planted-value","vault_id":%q}`, name, v))
	}
	named, other := secret("staff"), secret("staff2")
	e := g.make("/endpoints", `{"url":"https://shop.internal","traffic_policy":"on_http_request: [{expressions: [\"secrets.get('shop','staff') == 'x'\"], actions: [{type: deny}]}, {actions: [{type: deny}]}]"}`)
	g.must(204, "DELETE", "/vault_secrets/"+other, "")
	if log.Len() > 0 {
		t.Errorf("a secret that nobody names: %s", &log)
	}
	g.must(204, "DELETE", "/vault_secrets/"+named, "")
	text := log.String()
	for _, want := range []string{"level=WARN", "vault=shop", "secret=staff ", "endpoint=" + e} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, "planted-value") {
		t.Errorf("the log shows the value: %s", text)
	}
}
