package node_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

func TestAPIOfANode(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	api := s.API()
	vault := api.Create("/vaults", map[string]any{"name": "shop"})
	api.Create("/vault_secrets", map[string]any{"name": "db", "value": "canary_value_0123", "vault_id": vault})
	status, headers, answer := s.API("cvak_not_a_key_of_this_server").Do("GET", "/vaults", "")
	if status != http.StatusForbidden || answer["error_code"] != "ERR_NGROK_203" || headers.Get("Ngrok-Operation-Id") == "" {
		t.Errorf("an unknown key: got %d %v", status, answer)
	}
	s.Restart()
	if got := s.API().List("/vault_secrets"); len(got) != 1 || got[0]["name"] != "db" || got[0]["value"] != nil {
		t.Errorf("after a restart the secrets are %v", got)
	}
	other := s.NewAccount("other")
	if got := other.List("/vaults"); len(got) != 0 {
		t.Errorf("another account sees %v", got)
	}
	if status, _, _ := other.Do("GET", "/vaults/"+vault, ""); status != http.StatusNotFound {
		t.Errorf("another account's vault: got %d, want 404", status)
	}
}

func TestOpenAPINeedsNoKey(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	status, _, answer := s.API().Do("GET", "/openapi.json", "", "Authorization: ", "Ngrok-Version: ")
	if paths, ok := answer["paths"].(map[string]any); status != http.StatusOK || !ok || paths["/vaults"] == nil {
		t.Errorf("got %d %.300v", status, answer)
	}
}

// TestAPITLS: beyond loopback the API is served over HTTPS, unless somebody
// chooses otherwise.
func TestAPITLS(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		addr string
		tls  node.Switch
		want string
	}{
		"loopback":        {"127.0.0.1:9400", "", "http://127.0.0.1:9400"},
		"loopback, on":    {"127.0.0.1:9400", node.TLSOn, "https://127.0.0.1:9400"},
		"every host":      {"0.0.0.0:9400", "", "https://localhost:9400"},
		"every host, off": {"0.0.0.0:9400", node.TLSOff, "http://localhost:9400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nodetest.Start(t, func(c *node.Config) { c.APIAddr, c.APITLS = tt.addr, tt.tls })
			if s.Info.APIURL != tt.want {
				t.Errorf("got %s, want %s", s.Info.APIURL, tt.want)
			}
			vault := s.API().Must(http.StatusCreated, "POST", "/vaults", `{"name":"shop"}`)
			if uri := vault["uri"].(string); !strings.HasPrefix(uri, tt.want+"/vaults/") {
				t.Errorf("uri = %s, want it at %s", uri, tt.want)
			}
			if resp, body := s.Get(tt.want + "/readyz"); resp.StatusCode != http.StatusOK {
				t.Errorf("readyz: got %d %s", resp.StatusCode, body)
			}
		})
	}
}

func TestAPIURLIsThatOfAnswers(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.APIURL = "https://api.example.com" })
	resp := s.API().Must(http.StatusCreated, "POST", "http://127.0.0.1:9400/vaults", `{"name":"shop"}`)
	if uri := resp["uri"].(string); !strings.HasPrefix(uri, "https://api.example.com/vaults/") {
		t.Errorf("uri = %s", uri)
	}
}

// TestBootstrapKey: the key of the environment is ensured at every start, another
// one takes its place, and a revoked one stays revoked.
func TestBootstrapKey(t *testing.T) {
	t.Parallel()
	key := "first_key_0123456789"
	s := nodetest.Start(t, func(c *node.Config) { c.BootstrapAPIKey = key })
	if s.Info.APIKey != "" || s.Info.Authtoken != "" {
		t.Error("credentials are made although they are set")
	}
	all := s.API(key).List("/api_keys")
	if len(all) != 1 {
		t.Fatalf("keys = %v, want one", all)
	}
	s.Restart()
	if again := s.API(key).List("/api_keys"); len(again) != 1 || again[0]["id"] != all[0]["id"] {
		t.Errorf("after a restart: %v", again)
	}
	s.API(key).Must(http.StatusNoContent, "DELETE", "/api_keys/"+all[0]["id"].(string), "")
	s.Restart()
	if status, _, answer := s.API(key).Do("GET", "/vaults", ""); status != http.StatusForbidden {
		t.Errorf("a revoked key after a restart: got %d %v", status, answer)
	}
	if _, err := node.New(node.Config{DataDir: t.TempDir(), BootstrapAPIKey: "short"}); !fault.Has(err, fault.BootstrapKeyInvalid) {
		t.Errorf("a short key: got %v", err)
	}
}

func TestFirstStartMakesOneKey(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.BootstrapAPIKey, c.BootstrapAuthtoken = "", "" })
	key := s.Info.APIKey
	s.API(key).Must(http.StatusOK, "GET", "/vaults", "")
	s.Restart()
	if s.Info.APIKey != "" || s.Info.Authtoken != "" {
		t.Error("the second start made another key")
	}
	s.API(key).Must(http.StatusOK, "GET", "/vaults", "")
}
