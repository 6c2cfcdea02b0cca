package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// made returns an object of each resource that can be made, by path.
func made(t *testing.T, a *nodetest.API) map[string]string {
	t.Helper()
	ids := map[string]string{}
	create := func(path string, fields map[string]any) { ids[path] = a.Create(path, fields) }
	create("/endpoints", map[string]any{"url": "https://planted.internal", "traffic_policy": `{"on_http_request":[{"actions":[{"type":"deny"}]}]}`})
	create("/reserved_domains", map[string]any{"domain": "planted.culvert.localhost"})
	cert, key := nodetest.PEM(t, nodetest.Certificate(t, "planted.example.com"))
	create("/tls_certificates", map[string]any{"certificate_pem": cert, "private_key_pem": key})
	create("/certificate_authorities", map[string]any{"ca_pem": cert})
	create("/agent_ingresses", map[string]any{"domain": "planted.example.net"})
	create("/reserved_addrs", map[string]any{"description": "planted"})
	create("/ip_policies", map[string]any{"description": "planted"})
	create("/ip_policy_rules", map[string]any{"ip_policy_id": ids["/ip_policies"], "cidr": "192.0.2.0/24", "action": "allow"})
	create("/ip_restrictions", map[string]any{"type": "agent", "ip_policy_ids": []string{ids["/ip_policies"]}})
	create("/vaults", map[string]any{"name": "planted"})
	create("/vault_secrets", map[string]any{"name": "planted", "value": "planted", "vault_id": ids["/vaults"]})
	create("/credentials", map[string]any{"description": "planted"})
	create("/api_keys", map[string]any{"description": "planted"})
	create("/ssh_credentials", map[string]any{"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAnmXrYyT7bKdNpR4X2Fv+gEy0rqz1bnVdhXr0B planted"})
	create("/service_users", map[string]any{"name": "planted"})
	ids["/bot_users"] = strings.Replace(ids["/service_users"], "service_", "bot_", 1)
	return ids
}

// T66, and isolation: every route of a whole server, with everything that is no key of the account.
func TestT66_EveryRouteOfAServer(t *testing.T) { //nolint:tparallel // the group waits for its routes
	t.Parallel()
	s := nodetest.Start(t)
	owner, other := s.API(), s.NewAccount("other")
	ids := made(t, owner)
	ownKeys := owner.List("/api_keys")
	id, _ := ownKeys[0]["id"].(string)
	reader, err := s.Node.Directory().NewUser(t.Context(), identity.DefaultAccount, identity.User{Email: "read@example.com", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	readers := owner.Must(201, "POST", "/api_keys", `{"owner_id":"`+reader+`"}`)
	revoked := owner.Must(201, "POST", "/api_keys", `{}`)
	owner.Must(204, "DELETE", fmt.Sprint("/api_keys/", revoked["id"]), "")
	keys := []unentitled{
		{"no key", "Authorization: ", fault.APIKeyMissing},
		{"other scheme", "Authorization: Digest x", fault.APIAuthScheme},
		{"malformed", "Authorization: Bearer !", fault.APIKeyMalformed},
		{"unknown", "Authorization: Bearer ak_0123456789_0123456789abcdef", fault.APIKeyUnknown},
		{"authtoken", "Authorization: Bearer " + other.Authtoken, fault.AuthtokenAsKey},
		{"revoked", fmt.Sprint("Authorization: Bearer ", revoked["token"]), fault.APIKeyUnknown},
		{"of a reader", fmt.Sprint("Authorization: Bearer ", readers["token"]), fault.OwnerReadOnly},
		{"id of a key", "Authorization: Bearer " + id, fault.KeyIDAsKey},
	}
	t.Run("routes", func(t *testing.T) {
		for _, r := range api.All() {
			for _, route := range r.Routes() {
				t.Run(route.Method+" "+route.Path, func(t *testing.T) {
					t.Parallel()
					id := ids[r.Path]
					if id == "" {
						id = r.Prefix + "_2b8xWJq9kqN1cKQ7yC6mV0tUe1D"
					}
					refuses(t, route, id, keys, owner.For(t), other.For(t))
				})
			}
		}
	})
	for path, id := range ids {
		if got := owner.Must(200, "GET", path+"/"+id, ""); strings.Contains(fmt.Sprint(got), "stolen") {
			t.Errorf("%s/%s is %v after all that", path, id, got)
		}
	}
}

// unentitled is a way not to have a key, and the code of its refusal.
type unentitled struct {
	name, header string
	code         fault.Code
}

// refuses judges how one route treats all that have no right to an object.
func refuses(t *testing.T, route api.Route, id string, keys []unentitled, owner, other *nodetest.API) {
	t.Helper()
	path := strings.Replace(route.Path, api.IDSegment, id, 1)
	body := ""
	if route.Method == http.MethodPost || route.Method == http.MethodPatch {
		body = `{"description":"stolen"}`
		if !slices.ContainsFunc(route.Resource.Fields, func(f api.Field) bool { return f.Name == "description" }) {
			body = `{"name":"stolen"}`
		}
	}
	for _, tt := range keys {
		if tt.code == fault.APIKeyUnknown && route.Verb != api.List {
			continue // the server waits a second for such keys; one route of each resource will do
		}
		status, _, e := owner.Do(route.Method, path, body, tt.header)
		if status != 403 || e["error_code"] != string(tt.code) || e["status_code"] != float64(status) {
			t.Errorf("%s: %d %v, want 403 with %s", tt.name, status, e, tt.code)
		}
	}
	switch status, _, answer := other.Do(route.Method, path, body); {
	case route.HasID() && status != 404:
		t.Errorf("another account: %d %v, want 404", status, answer)
	case strings.Contains(fmt.Sprint(answer), "planted") && !route.HasID():
		t.Errorf("another account: %d %v", status, answer)
	}
}

// Tables, server and document name the same resources and requests; so the commands and the manual do, too.
func TestServerHasTheTables(t *testing.T) {
	t.Parallel()
	a := nodetest.Start(t).API()
	var served, want []string
	for name := range a.Must(200, "GET", "/", "")["subresource_uris"].(map[string]any) {
		served = append(served, "/"+name)
	}
	for _, r := range api.All() {
		want = append(want, r.Path)
	}
	slices.Sort(served)
	slices.Sort(want)
	if !slices.Equal(served, want) {
		t.Errorf("the server has %q, the tables are %q", served, want)
	}
	paths := a.Must(200, "GET", "/openapi.json", "")["paths"].(map[string]any)
	for _, r := range api.All() {
		page := a.Must(200, "GET", r.Path+"?limit=1", "")
		if _, ok := page[r.ListKey].([]any); !ok {
			t.Errorf("%s: there is no %s in %v", r.Path, r.ListKey, page)
		}
		for _, route := range r.Routes() {
			if item, _ := paths[route.Path].(map[string]any); item[strings.ToLower(route.Method)] == nil {
				t.Errorf("%s %s is not in the document", route.Method, route.Path)
			}
		}
	}
}

// Scenarios 11, 12 and 14 of api.md 8, for every resource that has a description.
func TestAPI_12_PatchOfEveryResource(t *testing.T) {
	t.Parallel()
	a := nodetest.Start(t).API()
	ids := made(t, a)
	for _, r := range api.All() {
		i := slices.IndexFunc(r.Fields, func(f api.Field) bool { return f.Name == "description" })
		id := ids[r.Path]
		if i < 0 || id == "" || !r.Fields[i].Usable(false) {
			continue
		}
		path := r.Path + "/" + id
		for _, tt := range []struct{ body, want string }{
			{`{"description":"one"}`, "one"},
			{`{"description":null,"metadata":"m"}`, "one"},
			{`{"metadata":"n","id":"` + id + `"}`, "one"},
			{`{"description":""}`, ""},
			{`{"description":"two","metadata":null}`, "two"},
		} {
			if got := a.Must(200, "PATCH", path, tt.body); got["description"] != tt.want || got["id"] != id {
				t.Errorf("PATCH %s %s gives %v, want the description %q", path, tt.body, got, tt.want)
			}
			if got := a.Must(200, "GET", path, ""); got["description"] != tt.want {
				t.Errorf("after PATCH %s %s: %v, want the description %q", path, tt.body, got, tt.want)
			}
		}
		status, _, e := a.Do("PATCH", path, `{}`)
		if code := string(r.EmptyUpdate); code == "" && status != 200 || code != "" && (status != 400 || e["error_code"] != code) {
			t.Errorf("PATCH %s with nothing = %d %v, want 200 or 400 with %q", path, status, e, code)
		}
		if status, _, e := a.Do("PATCH", path, `{"description":"`+strings.Repeat("x", 256)+`"}`); status != 400 || e["error_code"] == nil {
			t.Errorf("PATCH %s with a long description = %d %v", path, status, e)
		}
	}
}

func TestAPI_11_DeleteOfEveryResource(t *testing.T) {
	t.Parallel()
	a := nodetest.Start(t).API()
	ids := made(t, a)
	tables := api.All()
	slices.Reverse(tables) // what others refer to comes first in the manual
	for range 2 {          // a restriction holds its policy, a secret its vault
		for _, r := range tables {
			id := ids[r.Path]
			if id == "" || r.SpellingOf != "" {
				continue
			}
			path := r.Path + "/" + id
			if status, _, _ := a.Do("DELETE", path, ""); status != 204 {
				continue
			}
			delete(ids, r.Path)
			for _, method := range []string{"DELETE", "GET"} {
				if status, _, e := a.Do(method, path, ""); status != 404 || e["status_code"] != float64(404) || e["error_code"] != nil && e["error_code"] != string(r.NotFound) {
					t.Errorf("%s %s behind its deletion = %d %v, want 404", method, path, status, e)
				}
			}
		}
	}
	delete(ids, "/bot_users")
	if len(ids) > 0 {
		t.Errorf("%v cannot be deleted", ids)
	}
}
