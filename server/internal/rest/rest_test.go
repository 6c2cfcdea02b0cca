package rest_test

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// keys are the callers of a test by their keys.
type keys map[string]control.Caller

func (k keys) APIKey(_ context.Context, key string, from netip.Addr) (*control.Caller, error) {
	c, ok := k[key]
	if !ok {
		return nil, fault.New(fault.TokenUnknown)
	}
	c.Address = from
	return &c, nil
}

// client talks to an API with a database of its own.
type client struct {
	t   *testing.T
	url string
	key string
}

func serve(t *testing.T) *client {
	t.Helper()
	return serveAs(t, func(*rest.Config) {})
}

// config is an API with a database of its own.
func config(t *testing.T) rest.Config {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	shared := &control.Shared{Store: db, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil }}
	return rest.Config{
		Auth: keys{
			"one":  {Account: "ac_1", Principal: "usr_1", Write: true, Admin: true},
			"two":  {Account: "ac_2", Principal: "usr_2", Write: true, Admin: true},
			"read": {Account: "ac_1", Principal: "usr_3"},
		},
		Resources: []control.Resource{control.NewVaults(shared), control.NewSecrets(shared, v)},
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// serveAs is serve with a configuration that is changed first.
func serveAs(t *testing.T, change func(cfg *rest.Config)) *client {
	t.Helper()
	cfg := config(t)
	change(&cfg)
	server := httptest.NewServer(rest.New(cfg))
	t.Cleanup(server.Close)
	return &client{t, server.URL, "one"}
}

// request makes a request. Headers are as official clients send them; each of more is NAME: VALUE and replaces
// one, or removes it if VALUE is empty.
func (c *client) request(method, path, body string, more ...string) *http.Request {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Ngrok-Version", "2")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range more {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Del(name); value != "" {
			req.Header.Set(name, value)
		}
		if name == "Host" {
			req.Host = value
		}
	}
	return req
}

// raw sends a request and returns the answer with its text.
func (c *client) raw(method, path, body string, more ...string) (*http.Response, []byte) {
	c.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(c.request(method, path, body, more...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, text
}

// do is raw that decodes the answer.
func (c *client) do(method, path, body string, more ...string) (int, map[string]any) {
	c.t.Helper()
	resp, text := c.raw(method, path, body, more...)
	var answer map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			c.t.Fatalf("%s %s: %v in %q", method, path, err, text)
		}
	}
	return resp.StatusCode, answer
}

// must is do for requests that succeed with a status.
func (c *client) must(status int, method, path, body string) map[string]any {
	c.t.Helper()
	got, answer := c.do(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s %s = %d %v, want %d", method, path, body, got, answer, status)
	}
	return answer
}

func TestVaultsAndSecrets(t *testing.T) {
	t.Parallel()
	c := serve(t)
	v := c.must(201, "POST", "/vaults", `{"name":"shop","description":"d","metadata":null}`)
	id := v["id"].(string)
	if v["uri"] != c.url+"/vaults/"+id || v["created_by"] != "usr_1" || v["description"] != "d" || v["metadata"] != "" {
		t.Errorf("vault = %v", v)
	}
	s := c.must(201, "POST", "/vault_secrets", `{"name":"db","value":"s3cret","vault_name":"shop"}`)
	if strings.Contains(mustJSON(t, s), "s3cret") || s["vault"].(map[string]any)["id"] != id || s["vault_name"] != "shop" {
		t.Errorf("secret = %v", s)
	}
	secret := s["id"].(string)
	if got := c.must(200, "PATCH", "/vault_secrets/"+secret, `{"id":"`+secret+`","value":"other","description":"x"}`); got["description"] != "x" || got["name"] != "db" {
		t.Errorf("after an update: %v", got)
	}
	list := c.must(200, "GET", "/vaults/"+id+"/secrets", "")
	if items := list["secrets"].([]any); len(items) != 1 || list["next_page_uri"] != nil {
		t.Errorf("secrets of the vault = %v", list)
	}
	if status, e := c.do("DELETE", "/vaults/"+id, ""); status != 400 || e["error_code"] != string(fault.VaultNotEmpty) {
		t.Errorf("delete of a vault with a secret = %d %v", status, e)
	}
	c.must(204, "DELETE", "/vault_secrets/"+secret, "")
	c.must(204, "DELETE", "/vaults/"+id, "")
	c.must(404, "DELETE", "/vaults/"+id, "")
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for range 7 {
		c.must(201, "POST", "/vaults", `{"name":"`+rand(t)+`"}`)
	}
	var ids []string
	next := "/vaults?limit=3"
	for pages := 1; ; pages++ {
		page := c.must(200, "GET", next, "")
		for _, v := range page["vaults"].([]any) {
			ids = append(ids, v.(map[string]any)["id"].(string))
		}
		uri, more := page["next_page_uri"].(string)
		if !more {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
		next = strings.TrimPrefix(uri, c.url)
		if pages == 1 {
			c.must(204, "DELETE", "/vaults/"+ids[2], "") // the page goes on behind what is gone
		}
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] >= ids[i-1] {
			t.Errorf("ids = %q, want descending ones", ids)
		}
	}
	if len(ids) != 7 {
		t.Errorf("%d vaults, want 7", len(ids))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := serve(t)
	v := c.must(201, "POST", "/vaults", `{"name":"shop"}`)
	path := "/vaults/" + v["id"].(string)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     fault.Code
	}{
		{"no key", "GET", "/vaults", "", []string{"Authorization: "}, 403, fault.APIKeyMissing},
		{"other scheme", "GET", "/vaults", "", []string{"Authorization: Digest x"}, 403, fault.APIAuthScheme},
		{"unknown key", "GET", "/vaults", "", []string{"Authorization: Bearer nobody"}, 401, fault.TokenUnknown},
		{"no version", "GET", "/vaults", "", []string{"Ngrok-Version: "}, 400, fault.APIVersionMissing},
		{"other version", "GET", "/vaults", "", []string{"Ngrok-Version: 3"}, 400, fault.APIVersionUnknown},
		{"no such path", "GET", "/nothing", "", nil, 404, ""},
		{"no such method", "PUT", path, "{}", nil, 404, ""},
		{"deeper", "GET", path + "/other", "", nil, 404, ""},
		{"no such object", "GET", "/vaults/vault_0", "", nil, 404, ""},
		{"another account's", "GET", path, "", []string{"Authorization: Bearer two"}, 404, ""},
		{"another account's list", "GET", path + "/secrets", "", []string{"Authorization: Bearer two"}, 404, ""},
		{"another account's vault in a secret", "POST", "/vault_secrets", `{"name":"x","value":"y","vault_id":"` + v["id"].(string) + `"}`, []string{"Authorization: Bearer two"}, 404, fault.SecretVaultUnknown},
		{"read only", "PATCH", path, `{"description":"x"}`, []string{"Authorization: Bearer read"}, 403, fault.WriteRefused},
		{"no content type", "POST", "/vaults", "{}", []string{"Content-Type: "}, 400, fault.ContentTypeMissing},
		{"other content type", "POST", "/vaults", "{}", []string{"Content-Type: text/plain"}, 415, fault.ContentType},
		{"no JSON", "POST", "/vaults", "{", nil, 400, fault.BodyUnparsable},
		{"no object", "POST", "/vaults", "[]", nil, 400, fault.BodyUnparsable},
		{"name twice", "POST", "/vaults", `{"name":"a","name":"b"}`, nil, 400, fault.BodyUnparsable},
		{"deep", "POST", "/vaults", strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), nil, 400, fault.BodyUnparsable},
		{"unknown field", "POST", "/vaults", `{"name":"a","nmae":"b"}`, nil, 400, fault.FieldUnknown},
		{"answer's field", "POST", "/vaults", `{"name":"a","created_by":"usr_9"}`, nil, 400, fault.FieldUnknown},
		{"a slip in a required field", "POST", "/vaults", `{"nam":"a"}`, nil, 400, fault.FieldUnknown},
		{"wrong type", "POST", "/vaults", `{"name":1}`, nil, 400, fault.FieldInvalid},
		{"missing", "POST", "/vaults", "", nil, 400, fault.VaultNameEmpty},
		{"null", "POST", "/vaults", `{"name":null}`, nil, 400, fault.VaultNameEmpty},
		{"bad name", "POST", "/vaults", `{"name":"a b"}`, nil, 400, fault.VaultName},
		{"taken", "POST", "/vaults", `{"name":"shop"}`, nil, 400, fault.VaultNameTaken},
		{"long text", "POST", "/vaults", `{"name":"a","description":"` + strings.Repeat("x", 256) + `"}`, nil, 400, fault.FieldInvalid},
		{"large body", "POST", "/vaults", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, fault.BodyLarge},
		{"no id", "POST", "/vault_secrets", `{"name":"a","value":"b","vault_id":"x"}`, nil, 400, fault.ReferenceInvalid},
		{"body on GET", "GET", path, `{"x":1}`, nil, 400, fault.BodyUnexpected},
		{"limit 0", "GET", "/vaults?limit=0", "", nil, 400, fault.LimitRange},
		{"limit text", "GET", "/vaults?limit=many", "", nil, 400, fault.LimitNumber},
		{"unknown parameter", "GET", "/vaults?page=1", "", nil, 400, fault.QueryUnknown},
		{"parameter twice", "GET", "/vaults?limit=1&limit=2", "", nil, 400, fault.QueryTwice},
		{"bad query", "GET", "/vaults?limit=%zz", "", nil, 400, fault.QueryInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := *c
			c.t = t
			status, e := c.do(tt.method, tt.path, tt.body, tt.headers...)
			code, _ := e["error_code"].(string)
			details, _ := e["details"].(map[string]any)
			if status != tt.status || code != string(tt.code) || e["status_code"] != float64(tt.status) || details["operation_id"] == nil {
				t.Errorf("got %d %v, want %d %s", status, e, tt.status, tt.code)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// rand returns a name that no other call returns.
func rand(t *testing.T) string {
	t.Helper()
	return strings.ToLower(crand.Text())
}
