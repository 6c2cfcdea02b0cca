package node_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// planted is the policy of an endpoint that tells its secret wherever it can.
const planted = `
on_tcp_connect:
  - actions: [{type: log, config: {metadata: {early: "${secrets.get('shop', 'early')}"}}}]
on_http_request:
  - actions:
      - {type: log, config: {metadata: {sent: "${req.headers['x-word'][0]}"}}}
      - {type: log, config: {metadata: {s: "${secrets.get('shop', 'word')}", text: "it is ${secrets.get('shop', 'word')}!", again: "${actions.ngrok.log.metadata.sent}"}}}
  - expressions: ["req.url.path.startsWith('/host')"]
    actions: [{type: add-headers, config: {headers: {host: "no host ${secrets.get('shop', 'word')}"}}}]
  - expressions: ["req.url.path.startsWith('/gone')"]
    actions: [{type: custom-response, config: {status_code: 200, body: "${secrets.get('shop', 'nothing')}"}}]
  - actions: [{type: custom-response, config: {status_code: 200, body: "come in"}}]
`

// TestK09_SecretsOfPoliciesAreInNoLog plants values in a vault and an API key, and
// looks for them in all that the server writes down or shows to strangers.
func TestK09_SecretsOfPoliciesAreInNoLog(t *testing.T) {
	t.Parallel()
	const word, early = `canary "word" <&> ü`, "canary-early-0123456789"
	var log, access buffer
	s := nodetest.Start(t, func(c *node.Config) {
		c.Logger, c.AccessLog = textLogger(&log), textLogger(&access)
	})
	a := s.API()
	v := a.Create("/vaults", map[string]any{"name": "shop"})
	a.Create("/vault_secrets", map[string]any{"name": "word", "value": word, "vault_id": v})
	a.Create("/vault_secrets", map[string]any{"name": "early", "value": early, "vault_id": v})
	key := a.Must(http.StatusCreated, "POST", "/api_keys", `{"description":"canary"}`)["token"].(string)
	s.API(key).Must(http.StatusOK, "GET", "/vault_secrets", "")
	e := a.Create("/endpoints", map[string]any{"url": "https://secret.culvert.localhost", "traffic_policy": planted})
	at := cloudURL(a, e)
	var pages strings.Builder
	for path, want := range map[string]int{"/" + url.PathEscape(word): 200, "/host": 500, "/gone": 500} {
		for _, form := range []string{"text/html", "application/json", "text/plain"} {
			resp, text := s.Get(at+path, func(r *http.Request) {
				r.Header.Set("X-Word", word)
				r.Header.Set("Accept", form)
			})
			if resp.StatusCode != want {
				t.Errorf("GET %s: got %d %s, want %d", path, resp.StatusCode, text, want)
			}
			if want == 500 && (resp.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_2238" || strings.Contains(text, "shop") || strings.Contains(text, "vault")) {
				t.Errorf("GET %s: the answer tells how the policy is made: %s", path, text)
			}
			pages.WriteString(text)
		}
	}
	audit := jsonOf(t, map[string]any{"secrets": a.List("/vault_secrets"), "keys": a.List("/api_keys")})
	s.Stop()
	for name, text := range map[string]string{"the access log": access.String(), "the server's log": log.String()} {
		if !strings.Contains(text, "the vault has no such secret") {
			t.Errorf("%s does not say why the expression failed", name)
		}
	}
	if text := access.String(); !strings.Contains(text, "early") || !strings.Contains(text, `it is ***!`) || !strings.Contains(text, "path=/***") {
		t.Errorf("the access log has not what this test looks through:\n%s", text)
	}
	places := map[string]string{
		"the access log": access.String(), "the server's log": log.String(), "a page": pages.String(), "a list of the API": audit, "a backup": backupOf(t, s),
	}
	files, err := filepath.Glob(filepath.Join(s.Info.DataDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		places[filepath.Base(f)] = string(b)
	}
	for name, text := range places {
		for _, secret := range []string{word, "canary \\\"word", `canary \\\"word`, "canary%20", "canary \"", early, key, key[strings.Index(key, "_")+1:]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s:\n%s", name, secret, text)
			}
		}
	}
}

// backupOf is a backup of a server that has stopped; the audit is a part of it.
func backupOf(t *testing.T, s *nodetest.Server) string {
	t.Helper()
	db, err := node.OpenDatabase(t.Context(), node.Config{DataDir: s.Info.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out bytes.Buffer
	if _, err := db.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "audit") {
		t.Errorf("the backup has no audit")
	}
	return out.String()
}
