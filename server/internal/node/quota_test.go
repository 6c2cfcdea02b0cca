package node_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// limit sets a limit of an account. It is in force when limit returns.
func limit(t *testing.T, s *nodetest.Server, account string, q identity.Quota, n int64) {
	t.Helper()
	if _, err := s.Node.Directory().SetLimits(t.Context(), account, map[identity.Quota]*int64{q: &n}); err != nil {
		t.Fatal(err)
	}
}

// Objects of the API are refused beyond an account's limit, with the codes of api.md 5; what there is stays, and others
// have limits of their own.
func TestQuotasOfObjects(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	answers := `on_http_request: [{actions: [{type: deny}]}]`
	for name, tt := range map[string]struct {
		quota identity.Quota
		code  fault.Code
		path  string
		body  func(n int) string
	}{
		"vaults":        {identity.QuotaVaults, fault.VaultsTooMany, "/vaults", func(n int) string { return fmt.Sprintf(`{"name":"v%d"}`, n) }},
		"service users": {identity.QuotaServiceUsers, fault.ServiceUsersTooMany, "/bot_users", func(n int) string { return fmt.Sprintf(`{"name":"v%d"}`, n) }},
		"base domains": {identity.QuotaBaseDomains, fault.BaseDomainsTooMany, "/reserved_domains", func(n int) string {
			return fmt.Sprintf(`{"domain":"base%d.culvert.localhost"}`, n)
		}},
		"custom domains": {identity.QuotaCustomDomains, fault.CustomDomainsTooMany, "/reserved_domains", func(n int) string {
			return fmt.Sprintf(`{"domain":"custom%d.example.com"}`, n)
		}},
		"wildcards": {identity.QuotaWildcardDomains, fault.WildcardDomainsTooMany, "/reserved_domains", func(n int) string {
			return fmt.Sprintf(`{"domain":"*.wild%d.example.com"}`, n)
		}},
		"tcp addresses": {identity.QuotaTCPAddresses, fault.AddressesTooMany, "/reserved_addrs", func(int) string { return `{}` }},
		"cloud endpoints": {identity.QuotaEndpoints, fault.EndpointsTooMany, "/endpoints", func(n int) string {
			return fmt.Sprintf(`{"type":"cloud","url":"https://cloud%d.internal","traffic_policy":%q}`, n, answers)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.NewAccount("a-" + string(tt.quota))
			api := a.For(t)
			made := api.Must(http.StatusCreated, http.MethodPost, tt.path, tt.body(0))
			limit(t, s, a.ID, tt.quota, 2)
			api.Must(http.StatusCreated, http.MethodPost, tt.path, tt.body(1))
			refused := api.Must(http.StatusBadRequest, http.MethodPost, tt.path, tt.body(2))
			if refused["error_code"] != string(tt.code) {
				t.Errorf("one too many is refused with %v, want %s", refused, tt.code)
			}
			id := fmt.Sprint(made["id"])
			if tt.quota != identity.QuotaServiceUsers {
				api.Must(http.StatusOK, http.MethodPatch, tt.path+"/"+id, `{"description":"changed"}`)
			}
			api.Must(http.StatusNoContent, http.MethodDelete, tt.path+"/"+id, "")
			api.Must(http.StatusCreated, http.MethodPost, tt.path, tt.body(3))
		})
	}
	t.Run("secrets and rules", func(t *testing.T) {
		t.Parallel()
		a := s.NewAccount("secrets")
		api := a.For(t)
		limit(t, s, a.ID, identity.QuotaSecrets, 1)
		limit(t, s, a.ID, identity.QuotaPolicyRules, 1)
		api.Create("/vaults", map[string]any{"name": "v"})
		api.Create("/vault_secrets", map[string]any{"vault_name": "v", "name": "a", "value": "x"})
		if refused := api.Must(http.StatusBadRequest, http.MethodPost, "/vault_secrets", `{"vault_name":"v","name":"b","value":"x"}`); refused["error_code"] != string(fault.SecretsTooMany) {
			t.Errorf("a second secret is refused with %v", refused)
		}
		two := `on_http_request: [{actions: [{type: add-headers, config: {headers: {a: b}}}]}, {actions: [{type: deny}]}]`
		body := fmt.Sprintf(`{"type":"cloud","url":"https://rules.internal","traffic_policy":%q}`, two)
		if refused := api.Must(http.StatusBadRequest, http.MethodPost, "/endpoints", body); refused["error_code"] != string(fault.PolicyRulesTooMany) {
			t.Errorf("two rules are refused with %v", refused)
		}
		_, err := s.Agent(culvert.WithAuthtoken(a.Authtoken)).Listen(context.Background(), culvert.WithURL("https://rules.internal"), culvert.WithTrafficPolicy(two))
		if f := fault.From(err); f.Code != fault.PolicyRulesTooMany {
			t.Errorf("an agent's two rules are refused with %v", err)
		}
	})
	t.Run("users", func(t *testing.T) {
		t.Parallel()
		a := s.NewAccount("users")
		limit(t, s, a.ID, identity.QuotaUsers, 2)
		d := s.Node.Directory()
		if _, err := d.NewUser(t.Context(), a.ID, identity.User{Email: "one@example.com"}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.NewUser(t.Context(), a.ID, identity.User{Email: "two@example.com"}); !fault.Has(err, fault.UsersTooMany) {
			t.Errorf("a third user: %v", err)
		}
	})
}

// Endpoints of agents and those on the server count together, a pool's members each; agents count by sessions.
func TestQuotasOfAgents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nodetest.Start(t)
		a := s.NewAccount("two")
		limit(t, s, a.ID, identity.QuotaEndpoints, 3)
		limit(t, s, a.ID, identity.QuotaAgents, 2)
		cloud := a.Create("/endpoints", map[string]any{
			"type": "cloud", "url": "https://cloud.internal", "traffic_policy": "on_http_request: [{actions: [{type: deny}]}]",
		})
		one, two := s.Agent(culvert.WithAuthtoken(a.Authtoken)), s.Agent(culvert.WithAuthtoken(a.Authtoken))
		pooled := func() []culvert.EndpointOption {
			return []culvert.EndpointOption{culvert.WithURL("https://pool.culvert.localhost"), culvert.WithPoolingEnabled(true)}
		}
		first := s.Listen(one, pooled()...)
		s.Listen(two, pooled()...)
		listen := func(by culvert.Agent) error {
			_, err := by.Listen(context.Background(), culvert.WithURL("https://more.internal"))
			return err
		}
		if err := listen(one); fault.From(err).Code != fault.TooManyEndpoints {
			t.Errorf("a fourth endpoint: %v", err)
		}
		a.Must(http.StatusOK, http.MethodPatch, "/endpoints/"+cloud, `{"url":"https://moved.internal"}`)
		if refused := a.Must(http.StatusBadRequest, http.MethodPost, "/endpoints", `{"type":"cloud","url":"https://b.internal","traffic_policy":"on_http_request: [{actions: [{type: deny}]}]"}`); refused["error_code"] != string(fault.EndpointsTooMany) {
			t.Errorf("a fourth endpoint on the server: %v", refused)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := listen(one); err != nil {
			t.Errorf("after one was stopped: %v", err)
		}
		third := s.Agent(culvert.WithAuthtoken(a.Authtoken))
		if err := listen(third); fault.From(err).Code != fault.AgentsTooMany {
			t.Errorf("a third agent: %v", err)
		}
		if err := two.Disconnect(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // it has left
		if _, err := s.Agent(culvert.WithAuthtoken(a.Authtoken)).Listen(context.Background(), culvert.WithURL("https://other.internal")); err != nil {
			t.Errorf("after an agent has left: %v", err)
		}
	})
}

// Limits of traffic hold for a running server at once, count what was used before, and last over a restart.
func TestQuotasOfTrafficAreLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nodetest.Start(t)
		a := s.NewAccount("two")
		serve := func() string {
			t.Helper()
			return s.ServeHTTP(s.Agent(culvert.WithAuthtoken(a.Authtoken)), nodetest.Text("hello"), culvert.WithURL("https://app.culvert.localhost")).URL().String()
		}
		url := serve()
		get := func(want int) {
			t.Helper()
			resp, _ := s.Get(url)
			if resp.StatusCode != want || want == http.StatusTooManyRequests && resp.Header.Get("Ngrok-Error-Code") != string(fault.RequestsQuota) {
				t.Errorf("got %d %s, want %d", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), want)
			}
		}
		get(http.StatusOK)
		limit(t, s, a.ID, identity.QuotaRequestsPerMonth, 3)
		get(http.StatusOK)
		get(http.StatusOK)
		get(http.StatusTooManyRequests)
		s.Restart()
		url = serve()
		get(http.StatusTooManyRequests)
		if _, err := s.Node.Directory().SetLimits(t.Context(), a.ID, map[identity.Quota]*int64{identity.QuotaRequestsPerMonth: nil}); err != nil {
			t.Fatal(err)
		}
		get(http.StatusOK)
	})
}
