package cli_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// apiStub records what it is asked and answers by path.
type apiStub struct {
	url     string
	answers map[string]string // "METHOD /path?query" to "STATUS BODY"; {url} is its own URL

	mu    sync.Mutex
	asked []string // "METHOD /path?query BODY"
	keys  []string
}

func newAPIStub(t *testing.T, answers map[string]string) *apiStub {
	t.Helper()
	s := &apiStub{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *apiStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	request := r.Method + " " + r.URL.String()
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(request+" "+string(body)))
	s.keys = append(s.keys, r.Header.Get("Authorization"))
	s.mu.Unlock()
	answer := s.answers[request]
	if answer == "" {
		answer = "200 {}"
	}
	status, text, _ := strings.Cut(answer, " ")
	code := http.StatusOK
	_, _ = fmt.Sscan(status, &code)
	w.WriteHeader(code)
	fmt.Fprint(w, strings.ReplaceAll(text, "{url}", s.url))
}

// last returns the latest request.
func (s *apiStub) last(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("nothing was asked")
	}
	return s.asked[len(s.asked)-1]
}

// api runs "culvert api ARGS" against the stub.
func (s *apiStub) api(t *testing.T, args ...string) *invocation {
	t.Helper()
	i := newHome(t).program(append([]string{"api"}, args...)...)
	i.program.Env = append(i.program.Env, "CULVERT_API_KEY=ak_1", "CULVERT_API_URL="+s.url)
	i.program.Stdin = strings.NewReader("from\nstandard input")
	i.start(t)
	i.wait(t)
	return i
}

func TestAPICommandsAsk(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, nil)
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("line 1\nline 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"vaults", "list"}, "GET /vaults"},
		{[]string{"vaults", "list", "--limit", "5", "--before-id", "vault_1", "--filter", `obj.name == "a b"`}, "GET /vaults?before_id=vault_1&filter=obj.name+%3D%3D+%22a+b%22&limit=5"},
		{[]string{"vaults", "get", "vault_1"}, "GET /vaults/vault_1"},
		{[]string{"vaults", "delete", "vault_1"}, "DELETE /vaults/vault_1"},
		{[]string{"vaults", "get-secrets-by-vault", "vault_1", "--limit", "1"}, "GET /vaults/vault_1/secrets?limit=1"},
		{[]string{"vaults", "create", "--name", "shop", "--description", `a "b"`}, `POST /vaults {"description":"a \"b\"","name":"shop"}`},
		{[]string{"vaults", "create"}, "POST /vaults"},
		{[]string{"vaults", "update", "vault_1", "--description", ""}, `PATCH /vaults/vault_1 {"description":""}`},
		{[]string{"vault-secrets", "create", "--name", "db", "--vault-name", "shop", "--value-file", file}, `POST /vault_secrets {"name":"db","value":"line 1\nline 2","vault_name":"shop"}`},
		{[]string{"secrets", "update", "secret_1", "--value-file", "-"}, `PATCH /vault_secrets/secret_1 {"value":"from\nstandard input"}`},
		{[]string{"secrets", "update", "secret_1", "--value", "x,y"}, `PATCH /vault_secrets/secret_1 {"value":"x,y"}`},
		{[]string{"root", "get"}, "GET /"},
		{[]string{"root", "self"}, "GET /self"},
	} {
		s.api(t, tt.args...).check(t, 0, "200 OK")
		if got := s.last(t); got != tt.want {
			t.Errorf("culvert api %s asks %s, want %s", strings.Join(tt.args, " "), got, tt.want)
		}
	}
	s.api(t, "--quiet", "vaults", "list").check(t, 0)
}

const vaultList = `200 {"vaults":[{"id":"vault_2","uri":"u","created_at":"2026-05-01T12:00:00Z","updated_at":"2026-05-01T12:00:00Z","name":"b\u001b[31m","description":"","metadata":"yes","created_by":"usr_1","last_updated_by":"usr_1"}],"uri":"{url}/vaults","next_page_uri":"{url}/vaults?before_id=vault_2"}`

func TestAPIOutput(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, map[string]string{
		"GET /vaults":                   vaultList,
		"GET /vaults?before_id=vault_2": strings.NewReplacer("vault_2", "vault_1", `"{url}/vaults?before_id=vault_2"`, "null").Replace(vaultList),
		"GET /vault_secrets/secret_1":   `200 {"id":"secret_1","count":3,"share":1.5,"on":true,"none":null,"list":["a","b"],"empty":[],"vault":{"id":"vault_1","uri":"u"},"text":"a\nb","yes":"true","emoji":"\ud83d\ude00"}`,
		"DELETE /vaults/vault_1":        "204 ",
	})
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"vault-secrets", "get", "secret_1", "--output", "yaml"}, "id: secret_1\ncount: 3\nshare: 1.5\n\"on\": true\nnone: null\nlist:\n  - a\n  - b\nempty: []\nvault:\n  id: vault_1\n  uri: u\ntext: |-\n  a\n  b\n" + `"yes": "true"` + "\nemoji: \"\\U0001F600\"\n"},
		{[]string{"vault-secrets", "get", "secret_1", "--output", "table"}, "id     secret_1\ncount  3\nshare  1.5\non     true\nnone   \nlist   a,b\nempty  \nvault  vault_1\ntext   a b\nyes    true\nemoji  😀\n"},
		{[]string{"vaults", "list", "--output", "table"}, "ID       NAME   CREATED_BY  LAST_UPDATED_BY  METADATA  CREATED_AT\nvault_2  b [31m  usr_1       usr_1            yes       2026-05-01T12:00:00Z\n"},
		{[]string{"vaults", "list", "--output", "table", "--all-pages"}, "ID       NAME   CREATED_BY  LAST_UPDATED_BY  METADATA  CREATED_AT\nvault_2  b [31m  usr_1       usr_1            yes       2026-05-01T12:00:00Z\nvault_1  b [31m  usr_1       usr_1            yes       2026-05-01T12:00:00Z\n"},
		{[]string{"vaults", "delete", "vault_1"}, ""},
	} {
		i := s.api(t, tt.args...)
		i.check(t, 0)
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
		got := i.out.String()
		if strings.Contains(strings.Join(tt.args, " "), "list") {
			got, tt.want = squeeze(got), squeeze(tt.want)
		}
		if got != tt.want {
			t.Errorf("culvert api %s prints\n%s\nwant\n%s", strings.Join(tt.args, " "), got, tt.want)
		}
	}
	i := s.api(t, "vaults", "list", "--all-pages")
	var list struct {
		Vaults []struct{ ID string }
		Next   *string `json:"next_page_uri"`
	}
	if err := json.Unmarshal([]byte(i.out.String()), &list); err != nil || len(list.Vaults) != 2 || list.Next != nil {
		t.Errorf("all pages are %s (%v)", i.out, err)
	}
	if !strings.Contains(i.out.String(), "\n  \"vaults\": [\n") {
		t.Errorf("JSON is not indented: %s", i.out)
	}
}

func TestAPIRefusals(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, map[string]string{
		"GET /vaults/vault_1": `404 {"status_code":404,"msg":"Not found.","details":{"operation_id":"op_1"}}`,
		"POST /vaults":        `400 {"error_code":"ERR_NGROK_23000","status_code":400,"msg":"Bad.\n\nDo better.","details":{}}`,
		"GET /vaults":         `200 {"vaults":[{"id":"vault_1"}],"uri":"u","next_page_uri":"https://elsewhere.test/vaults"}`,
		"GET /vault_secrets":  "502 <html>",
	})
	for _, tt := range []struct {
		args []string
		code int
		says []string
		out  string
	}{
		{[]string{"vaults", "get", "vault_1"}, 1, []string{"404 Not Found", "ERROR:  Not found."}, `"operation_id": "op_1"`},
		{[]string{"vaults", "create"}, 1, []string{"400 Bad Request", "ERROR:  Bad.", "ERROR:  Do better.", "ERR_NGROK_23000"}, `"msg": "Bad.\n\nDo better."`},
		{[]string{"vaults", "get", "vault_1", "--output", "table"}, 1, []string{"Not found."}, ""},
		{[]string{"vaults", "list", "--all-pages"}, 1, []string{"ERR_CULVERT_1644", "elsewhere.test"}, ""},
		{[]string{"secrets", "list"}, 1, []string{"ERR_CULVERT_1643"}, ""},
		{[]string{"vaults", "list", "--output", "xml"}, 1, []string{"json, yaml or table"}, ""},
		{[]string{"vaults", "get"}, 1, []string{"needs the id of one vault"}, ""},
		{[]string{"vaults", "get", "a/b"}, 1, []string{"no id"}, ""},
		{[]string{"vaults", "get", ".."}, 1, []string{"no id"}, ""},
		{[]string{"vaults", "list", "x"}, 1, []string{"no arguments"}, ""},
		{[]string{"vaults", "create", "--nam", "x"}, 1, []string{"--name"}, ""},
		{[]string{"vaults", "drop"}, 1, []string{"Unknown command"}, ""},
		{[]string{"vaults", "creat", "--name", "x"}, 1, []string{`Unknown command "creat"`, `the nearest one is "create"`}, ""},
		{[]string{"valts", "list"}, 1, []string{`the nearest one is "vaults"`}, ""},
		{[]string{"edge-modules", "list"}, 1, []string{"/endpoints"}, ""},
		{[]string{"secrets", "create", "--value", "x", "--value-file", "y"}, 1, []string{"--value-file", "ERR_CULVERT_"}, ""},
		{[]string{"secrets", "create", "--value-file", "/nothing/there"}, 1, []string{"/nothing/there"}, ""},
		{[]string{"vaults", "list", "--api-url", "localhost:1"}, 1, []string{"ERR_CULVERT_1640", "no scheme"}, ""},
		{[]string{"vaults", "list", "--api-url", "http://127.0.0.1:1"}, 1, []string{"ERR_CULVERT_1642"}, ""},
	} {
		i := s.api(t, tt.args...)
		i.check(t, tt.code, tt.says...)
		if out := i.out.String(); !strings.Contains(out, tt.out) || tt.out == "" && out != "" {
			t.Errorf("culvert api %s prints %q, want %q", strings.Join(tt.args, " "), out, tt.out)
		}
		if strings.Contains(i.err.String(), "ak_1") {
			t.Errorf("the key is shown: %s", i.err)
		}
	}
}

// Flags beat variables, variables the file, the file what is built in.
func TestAPIKeyAndURL(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, nil)
	h := newHome(t)
	run := func(env []string, args ...string) *invocation {
		i := h.program(append([]string{"api", "vaults", "list"}, args...)...)
		i.program.Env = append(i.program.Env, env...)
		i.start(t)
		i.wait(t)
		return i
	}
	key := func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.keys[len(s.keys)-1]
	}
	run(nil).check(t, 1, "ERR_CULVERT_1641")
	keyFile := filepath.Join(h.dir, "key")
	if err := os.WriteFile(keyFile, []byte("ak_of_a_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.write(t, "version: 3\nagent:\n  api_key: ak_configured\n  api_url: "+s.url+"\n")
	for _, tt := range []struct {
		env, args []string
		want      string
	}{
		{nil, nil, "ak_configured"},
		{[]string{"NGROK_API_KEY=ak_twin"}, nil, "ak_twin"},
		{[]string{"NGROK_API_KEY=ak_twin", "CULVERT_API_KEY=ak_variable"}, nil, "ak_variable"},
		{[]string{"CULVERT_API_KEY_FILE=" + keyFile}, nil, "ak_of_a_file"},
		{[]string{"CULVERT_API_KEY=ak_variable"}, []string{"--api-key", "ak_flag"}, "ak_flag"},
	} {
		run(tt.env, tt.args...).check(t, 0)
		if got := key(); got != "Bearer "+tt.want {
			t.Errorf("with %v %v the key is %q, want %s", tt.env, tt.args, got, tt.want)
		}
	}
	run([]string{"CULVERT_API_URL=http://127.0.0.1:1"}).check(t, 1, "http://127.0.0.1:1 does not answer")
	run([]string{"CULVERT_API_URL=http://127.0.0.1:1"}, "--api-url", s.url).check(t, 0)
}

// A key goes over plain HTTP to this machine without a word, and elsewhere with a warning.
func TestAPIKeyInTheClear(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, nil)
	quiet := s.api(t, "vaults", "list")
	quiet.check(t, 0)
	if strings.Contains(quiet.err.String(), "unencrypted") {
		t.Errorf("a warning for loopback: %s", quiet.err)
	}
	s.api(t, "vaults", "list", "--api-url", "http://192.0.2.1:99999").check(t, 1, "unencrypted", "http://192.0.2.1:99999")
}

// The API of a server with a CA of its own is recognised by that, and each way to miss it has its own remedy.
func TestAPITrust(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // the refused handshakes
	server.StartTLS()
	t.Cleanup(server.Close)
	plain := newAPIStub(t, nil)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	run := func(env []string, args ...string) *invocation {
		i := h.program(append([]string{"api", "vaults", "list"}, args...)...)
		i.program.Env = append(append(i.program.Env, "CULVERT_API_KEY=ak_1", "CULVERT_API_URL="+server.URL), env...)
		i.start(t)
		i.wait(t)
		return i
	}
	run(nil).check(t, 1, "ERR_CULVERT_1646", "--api-cas")
	run(nil, "--api-cas", ca).check(t, 0)
	run([]string{"CULVERT_API_CAS=" + ca}).check(t, 0)
	run(nil, "--api-cas", "/nothing/there").check(t, 1, "/nothing/there")
	run(nil, "--api-url", "https"+strings.TrimPrefix(plain.url, "http")).check(t, 1, "ERR_CULVERT_1645", "speaks HTTP", plain.url)
	run(nil, "--api-url", "http"+strings.TrimPrefix(server.URL, "https")).check(t, 1, "ERR_CULVERT_1645", "speaks HTTPS", server.URL)
	run([]string{"CULVERT_API_KEY=a\nb"}).check(t, 1, "ERR_CULVERT_1647")
	h.write(t, "version: 3\nagent:\n  connect_cas: "+ca+"\n")
	run(nil).check(t, 0)
	run(nil, "--api-cas", "host").check(t, 1, "ERR_CULVERT_1646")
}

func TestConfigOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newAPIStub(t, nil)
	h := newHome(t)
	h.run(t, "config", "add-api-key", "ak_written").check(t, 0)
	h.run(t, "config", "add-api-url", s.url+"/").check(t, 0)
	h.run(t, "api", "vaults", "list").check(t, 0)
	if key := s.keys[0]; key != "Bearer ak_written" {
		t.Errorf("the key is %q", key)
	}
	h.run(t, "config", "add-api-key", "a b").check(t, 1, "ERR_CULVERT_1647")
	h.run(t, "config", "add-api-url", "localhost").check(t, 1, "ERR_CULVERT_1640")
	h.run(t, "config", "add-api-url", s.url, "--api-cas", "/nothing/there").check(t, 1, "/nothing/there")
}

func TestAPICompletion(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"api ":                              "vault-secrets\t",
		"api vaults ":                       "create\tCreate a vault",
		"api vaults list --output ":         "table",
		"api vaults create --des":           "--description",
		"api vault-secrets create --value-": "--value-file",
	} {
		i := newHome(t).run(t, append([]string{"__complete"}, strings.Split(words, " ")...)...)
		if !strings.Contains(i.out.String(), want) {
			t.Errorf("%q completes to\n%s\nwant %s", words, i.out, want)
		}
	}
}
