package rest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// Tests of this file bear the numbers of the acceptance scenarios in api.md 8.

// vaults makes vaults with names p0, p1 …
func (c *client) vaults(prefix string, n int) {
	c.t.Helper()
	for i := range n {
		c.must(201, "POST", "/vaults", fmt.Sprintf(`{"name":"%s%d"}`, prefix, i))
	}
}

// walk follows a list to its end and returns the ids of each page. between is called behind each page.
func (c *client) walk(next string, between func(ids []string)) (pages [][]string) {
	c.t.Helper()
	for {
		page := c.must(200, "GET", next, "")
		ids := []string{}
		for _, v := range page["vaults"].([]any) {
			ids = append(ids, v.(map[string]any)["id"].(string))
		}
		pages = append(pages, ids)
		uri, more := page["next_page_uri"].(string)
		if !more {
			if page["next_page_uri"] != nil {
				c.t.Errorf("the last page's next_page_uri is %v, want null", page["next_page_uri"])
			}
			return pages
		}
		if between != nil {
			between(ids)
		}
		next = strings.TrimPrefix(uri, c.url)
	}
}

func descending(t *testing.T, ids []string) {
	t.Helper()
	for i := 1; i < len(ids); i++ {
		if ids[i] >= ids[i-1] {
			t.Fatalf("%s comes behind %s", ids[i], ids[i-1])
		}
	}
}

func TestAPI_02_PagesOf250(t *testing.T) {
	t.Parallel()
	c := serve(t)
	c.vaults("v", 250)
	pages := c.walk("/vaults", nil)
	ids := slices.Concat(pages...)
	if len(pages) != 3 || len(ids) != 250 {
		t.Errorf("%d pages with %d vaults, want 3 with 250", len(pages), len(ids))
	}
	descending(t, ids)
}

func TestAPI_03_CreatedDuringIteration(t *testing.T) {
	t.Parallel()
	c := serve(t)
	c.vaults("old", 9)
	n := 0
	ids := slices.Concat(c.walk("/vaults?limit=2", func([]string) {
		c.vaults(fmt.Sprintf("new%d-", n), 3)
		n++
	})...)
	descending(t, ids)
	if len(ids) != 9 {
		t.Errorf("%d vaults, want the 9 older ones", len(ids))
	}
}

func TestAPI_04_BeforeDeleted(t *testing.T) {
	t.Parallel()
	c := serve(t)
	c.vaults("v", 6)
	ids := slices.Concat(c.walk("/vaults?limit=2", func(ids []string) {
		c.must(204, "DELETE", "/vaults/"+ids[len(ids)-1], "")
	})...)
	descending(t, ids)
	if len(ids) != 6 {
		t.Errorf("%d vaults, want 6", len(ids))
	}
	camel := c.must(200, "GET", "/vaults?beforeId="+ids[1], "")
	snake := c.must(200, "GET", "/vaults?before_id="+ids[1], "")
	if mustJSON(t, camel["vaults"]) != mustJSON(t, snake["vaults"]) || len(camel["vaults"].([]any)) == 6 {
		t.Errorf("beforeId gives %v, before_id %v", camel, snake)
	}
}

func TestAPI_05_FilterMatchesFew(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for i := range 500 {
		description := "many"
		if i%200 == 50 {
			description = "few"
		}
		c.must(201, "POST", "/vaults", fmt.Sprintf(`{"name":"v%d","description":%q}`, i, description))
	}
	page := c.must(200, "GET", "/vaults?filter="+url.QueryEscape(`obj.description == "few"`), "")
	if n := len(page["vaults"].([]any)); n != 3 || page["next_page_uri"] != nil {
		t.Errorf("%d vaults and next page %v, want 3 and null", n, page["next_page_uri"])
	}
	filter := url.QueryEscape(`obj.description == "many" && !obj.name.startsWith("v4")`)
	pages := c.walk("/vaults?limit=90&filter="+filter, nil)
	for i, ids := range pages {
		if full := len(ids) == 90; full != (i < len(pages)-1) {
			t.Errorf("page %d of %d has %d vaults, want full ones but the last", i+1, len(pages), len(ids))
		}
	}
	// All but the 3 few, v4, v40 to v49 and v400 to v499; of the few, v450 is among those.
	if ids := slices.Concat(pages...); len(ids) != 500-2-111 {
		t.Errorf("%d vaults on all pages, want %d", len(ids), 500-2-111)
	}
	if empty := c.must(200, "GET", "/vaults?filter="+url.QueryEscape(`obj.name == "nobody"`), ""); empty["next_page_uri"] != nil {
		t.Errorf("an empty page has the next page %v", empty["next_page_uri"])
	}
}

func TestAPI_06_FilterRefusals(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for _, filter := range []string{
		`obj.secret == "x"`, `obj.name + "x" == "y"`, `obj.id.contains("x")`, strings.Repeat(`obj.name == "x" || `, 32) + `obj.name == "x"`,
	} {
		status, e := c.do("GET", "/vaults?filter="+url.QueryEscape(filter), "")
		if status != 400 || e["error_code"] != string(fault.FilterInvalid) {
			t.Errorf("%s = %d %v, want 400 with %s", filter, status, e, fault.FilterInvalid)
		}
		for name, value := range e["details"].(map[string]any) {
			if _, ok := value.(string); !ok {
				t.Errorf("%s: the detail %s is %v, want a text", filter, name, value)
			}
		}
	}
}

func TestAPI_08_Versions(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for header, code := range map[string]fault.Code{"Ngrok-Version: ": fault.APIVersionMissing, "Ngrok-Version: 1": fault.APIVersionUnknown, "Ngrok-Version: two": fault.APIVersionUnknown} {
		if status, e := c.do("GET", "/vaults", "", header); status != 400 || e["error_code"] != string(code) {
			t.Errorf("%q = %d %v, want 400 with %s", header, status, e, code)
		}
	}
}

func TestAPI_09_NoSuchPath(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for _, request := range []string{
		"GET /nothing", "PUT /vaults", "DELETE /vaults", "PATCH /vaults", "POST /vaults/vault_1", "PUT /vaults/vault_1", "OPTIONS /vaults", "TRACE /vaults",
		"GET /vaults/", "GET /vaults/vault_1/", "GET //vaults", "GET /vaults//secrets", "GET /vaults/vault_1/nothing", "POST /vaults/vault_1/secrets",
		"GET /vaults/vault_1/secrets/secret_1", "GET /a/b/c/d/e/f/g/h", "GET /vaults/%7Bid%7D/x", "POST /", "POST /self", "GET /self", "POST /openapi.json", "GET /.",
	} {
		method, path, _ := strings.Cut(request, " ")
		status, e := c.do(method, path, "")
		details, _ := e["details"].(map[string]any)
		if status != 404 || e["error_code"] != nil || e["msg"] != "Not Found" || e["status_code"] != float64(404) {
			t.Errorf("%s = %d %v %v, want 404 without code", request, status, e, details)
		}
	}
}

// Every failure has the same form, whatever fails.
func TestAPI_10_FailuresDecode(t *testing.T) {
	t.Parallel()
	c := serveAs(t, func(cfg *rest.Config) { cfg.Resources = append(cfg.Resources, broken{}) })
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/broken/b_panic", "", 500},
		{"GET", "/broken/b_unencodable", "", 500},
		{"GET", "/broken/b_plain", "", 500},
		{"POST", "/broken/b_1/shake", "{}", 500},
		{"GET", "/broken/b_away", "", 503},
		{"POST", "/vaults", "{", 400},
		{"GET", "/vaults/x", "", 404},
		{"GET", "/vaults/ep_1", "", 404},
	} {
		resp, text := c.raw(tt.method, tt.path, tt.body)
		var e api.Error
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%s %s: %v in %s", tt.method, tt.path, err, text)
		}
		id := resp.Header.Get("Ngrok-Operation-Id")
		if resp.StatusCode != tt.status || e.StatusCode != tt.status || e.Msg == "" || !strings.HasPrefix(id, "op_") || e.Details["operation_id"] != id ||
			resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s = %d %+v with %v, want %d", tt.method, tt.path, resp.StatusCode, e, resp.Header, tt.status)
		}
		if strings.Contains(string(text), "hidden") || tt.status == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s tells %s, with %v", tt.method, tt.path, text, resp.Header)
		}
	}
}

func TestAPI_11_DeleteTwice(t *testing.T) {
	t.Parallel()
	c := serve(t)
	path := "/vaults/" + c.must(201, "POST", "/vaults", `{"name":"v"}`)["id"].(string)
	resp, text := c.raw("DELETE", path, "")
	if resp.StatusCode != 204 || len(text) > 0 || resp.Header.Get("Content-Type") != "" {
		t.Errorf("delete = %d %q, want 204 and nothing", resp.StatusCode, text)
	}
	c.must(404, "DELETE", path, "")
}

func TestAPI_12_PatchOfVaults(t *testing.T) {
	t.Parallel()
	c := serve(t)
	path := "/vaults/" + c.must(201, "POST", "/vaults", `{"name":"v","description":"d","metadata":"m"}`)["id"].(string)
	for _, tt := range []struct{ body, name, description, metadata string }{
		{`{}`, "v", "d", "m"},
		{``, "v", "d", "m"},
		{`{"description":null}`, "v", "d", "m"},
		{`{"description":"e"}`, "v", "e", "m"},
		{`{"description":""}`, "v", "", "m"},
		{`{"name":"w","metadata":"n"}`, "w", "", "n"},
	} {
		got := c.must(200, "PATCH", path, tt.body)
		if got["name"] != tt.name || got["description"] != tt.description || got["metadata"] != tt.metadata {
			t.Errorf("after %s: %v, want %v", tt.body, got, tt)
		}
	}
	if status, e := c.do("PATCH", path, `{"name":""}`); status != 400 || e["error_code"] != string(fault.VaultNameEmpty) {
		t.Errorf("an empty name = %d %v", status, e)
	}
}

func TestAPI_14_PatchWithID(t *testing.T) {
	t.Parallel()
	c := serve(t)
	id := c.must(201, "POST", "/vaults", `{"name":"v"}`)["id"].(string)
	if got := c.must(200, "PATCH", "/vaults/"+id, `{"id":"`+id+`","description":"x"}`); got["description"] != "x" {
		t.Errorf("patched = %v", got)
	}
}

func TestAPI_45_OriginOfURIs(t *testing.T) {
	t.Parallel()
	proxied := serveAs(t, func(cfg *rest.Config) { cfg.Origin = "https://api.example.com" })
	direct := serve(t)
	for c, want := range map[*client]string{proxied: "https://api.example.com", direct: "http://name.test:99"} {
		c.vaults("v", 2)
		_, text := c.raw("GET", "/vaults?limit=1", "", "Host: name.test:99")
		var page struct {
			Vaults []api.Vault `json:"vaults"`
			URI    string      `json:"uri"`
			Next   string      `json:"next_page_uri"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatal(err)
		}
		for _, uri := range []string{page.URI, page.Next, page.Vaults[0].URI} {
			if !strings.HasPrefix(uri, want+"/vaults") {
				t.Errorf("%s does not begin with %s", uri, want)
			}
		}
	}
}
