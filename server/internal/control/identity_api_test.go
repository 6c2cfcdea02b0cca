package control_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
)

func TestAPI_07_WhatIsNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.must(201, "POST", "/api_keys", `{"description":"to be revoked"}`)
	w.must(204, "DELETE", "/api_keys/"+made(t, key, "id"), "")
	other := w.must(201, "POST", "/api_keys", "")
	authtoken := w.must(201, "POST", "/credentials", "")
	for name, tt := range map[string]struct {
		key  string
		want fault.Code
	}{
		"none":                 {"", fault.APIKeyMissing},
		"garbage":              {"garbage", fault.APIKeyMalformed},
		"no underscore":        {"abcdefghijklmnopqrstuvwxyz", fault.APIKeyMalformed},
		"underscore outside":   {"_abcdefghijklmnopqrstuvwxyz_", fault.APIKeyMalformed},
		"odd character":        {"cvak_abcdefghijkl/mnopqrstuvwxyz", fault.APIKeyMalformed},
		"long":                 {"cvak_" + strings.Repeat("a", 300), fault.APIKeyMalformed},
		"authtoken":            {made(t, authtoken, "token"), fault.AuthtokenAsKey},
		"authtoken that isn't": {"cvat_abcdefghijklmnopqrstuvwxyz234567", fault.AuthtokenAsKey},
		"id of a key":          {made(t, other, "id"), fault.KeyIDAsKey},
		"id of an authtoken":   {made(t, authtoken, "id"), fault.KeyIDAsKey},
		"revoked":              {made(t, key, "token"), fault.APIKeyUnknown},
		"never there":          {"cvak_abcdefghijklmnopqrstuvwxyz234567", fault.APIKeyUnknown},
		"another service's":    {"2abcdefghijklmnopqrstuvwxyz_4567890123456789012", fault.APIKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, code, e := w.call(t, tt.key, "GET", "/api_keys?limit=1", "")
			if status != 403 || code != tt.want {
				t.Errorf("got %d %s, want 403 %s", status, code, tt.want)
			}
			if len(tt.key) > 8 && strings.Contains(fmt.Sprint(e), tt.key[4:]) {
				t.Errorf("the answer repeats the credential: %v", e)
			}
		})
	}
}

// What callers get wrong is never a failure of the server: they would try it again for ever.
func TestWrongTextsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rules := func(n int) string {
		return `{"acl":["*"` + strings.Repeat(`,"bind:a.test"`, n-1) + `]}`
	}
	id := made(t, w.must(201, "POST", "/credentials", rules(100)), "id")
	for name, tt := range map[string]struct{ method, path, body string }{
		"NUL in a name":           {"POST", "/service_users", `{"name":"a\u0000b"}`},
		"NUL in a text":           {"POST", "/credentials", `{"description":"a\u0000b"}`},
		"many rules":              {"POST", "/credentials", rules(101)},
		"many rules in an update": {"PATCH", "/credentials/" + id, rules(101)},
	} {
		if status, code, e := w.call(t, firstKey, tt.method, tt.path, tt.body); status != 400 || code != fault.FieldInvalid {
			t.Errorf("%s: got %d %v, want 400 %s", name, status, e, fault.FieldInvalid)
		}
	}
}

// TestAPI_12_PatchMatrix: absent, null, an empty text, an empty list and a value, for each field of each
// resource that may be changed.
func TestAPI_12_PatchMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		path, create, field string
		before              any
		patch               string
		want                any
		code                fault.Code // instead, of a refusal
	}{
		{"/credentials", `{"description":"d"}`, "description", "d", `{"metadata":"m"}`, "d", ""},
		{"/credentials", `{"description":"d"}`, "description", "d", `{"description":null,"metadata":"m"}`, "d", ""},
		{"/credentials", `{"description":"d"}`, "description", "d", `{"description":""}`, "", ""},
		{"/credentials", `{"description":"d"}`, "description", "d", `{"description":"e"}`, "e", ""},
		{"/credentials", `{"acl":["bind:a.test"]}`, "acl", "[bind:a.test]", `{"acl":null,"metadata":"m"}`, "[bind:a.test]", ""},
		{"/credentials", `{"acl":["bind:a.test"]}`, "acl", "[bind:a.test]", `{"acl":["bind:c.test","bind:B.test"]}`, "[bind:c.test bind:B.test]", ""},
		{"/credentials", `{"acl":["bind:a.test"]}`, "acl", "[bind:a.test]", `{}`, "", fault.CredentialEmptyUpdate},
		{"/credentials", `{"acl":null}`, "acl", "[]", `{"acl":["a.test"]}`, "", fault.ACLInvalid},
		{"/credentials", `{}`, "acl", "[]", `{"acl":[1]}`, "", fault.ACLInvalid},
		{"/credentials", `{}`, "acl", "[]", `{"owner_id":"usr_1"}`, "", fault.FieldUnknown},
		{"/credentials", `{}`, "acl", "[]", `{"hash":"x"}`, "", fault.FieldUnknown},
		{"/credentials", `{}`, "acl", "[]", `{"description":"` + strings.Repeat("x", 256) + `"}`, "", fault.CredentialDescription},
		{"/credentials", `{}`, "acl", "[]", `{"metadata":"` + strings.Repeat("x", 4097) + `"}`, "", fault.CredentialMetadata},
		{"/api_keys", `{"metadata":"m"}`, "metadata", "m", `{}`, "m", ""},
		{"/api_keys", `{"metadata":"m"}`, "metadata", "m", `{"metadata":""}`, "", ""},
		{"/api_keys", `{"metadata":"m"}`, "metadata", "m", `{"metadata":"n"}`, "n", ""},
		{"/api_keys", `{}`, "metadata", "", `{"bootstrap":true}`, "", fault.FieldUnknown},
		{"/service_users", `{"name":"a"}`, "active", "true", `{"name":"b"}`, "true", ""},
		{"/service_users", `{"name":"c"}`, "active", "true", `{"active":null}`, "true", ""},
		{"/service_users", `{"name":"d"}`, "active", "true", `{"active":false}`, "false", ""},
		{"/service_users", `{"name":"e","active":false}`, "active", "false", `{"active":true}`, "true", ""},
		{"/bot_users", `{"name":"f"}`, "name", "f", `{"name":"g"}`, "g", ""},
		{"/bot_users", `{"name":"h"}`, "name", "h", `{"name":""}`, "", fault.ServiceUserNameEmpty},
		{"/bot_users", `{"name":"i"}`, "name", "i", `{"name":"h"}`, "", fault.ServiceUserNameTaken},
		{"/bot_users", `{"name":"j"}`, "name", "j", `{"name":"` + strings.Repeat("x", 256) + `"}`, "", fault.ServiceUserNameLong},
	} {
		o := w.must(201, "POST", tt.path, tt.create)
		if got := fmt.Sprint(o[tt.field]); got != tt.before {
			t.Errorf("%s %s: %s = %s, want %s", tt.path, tt.create, tt.field, got, tt.before)
		}
		status, code, answer := w.call(t, firstKey, "PATCH", tt.path+"/"+made(t, o, "id"), tt.patch)
		if got := fmt.Sprint(answer[tt.field]); code != tt.code || code == "" && (status != 200 || got != tt.want) {
			t.Errorf("%s %s: got %d %v, want %s %s = %s", tt.path, tt.patch, status, answer, tt.code, tt.field, tt.want)
		}
	}
}

// TestAPI_13_EmptyLists: major 7 of the Go client leaves an empty list out, major 9 sends it.
func TestAPI_13_EmptyLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := "/credentials/" + made(t, w.must(201, "POST", "/credentials", `{"acl":["bind:a.test"]}`), "id")
	if got := w.must(200, "PATCH", path, `{"description":"by major 7"}`); fmt.Sprint(got["acl"]) != "[bind:a.test]" {
		t.Errorf("major 7: acl = %v", got["acl"])
	}
	if got, ok := w.must(200, "PATCH", path, `{"acl":[],"description":"by major 9"}`)["acl"].([]any); !ok || len(got) != 0 {
		t.Errorf("major 9: acl = %v, want an empty list", got)
	}
	if got, ok := w.must(200, "GET", path, "")["acl"].([]any); !ok || len(got) != 0 {
		t.Errorf("read again: acl = %v, want an empty list", got)
	}
}

func TestAPI_14_IDInPatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, create := range map[string]string{"/credentials": "", "/api_keys": "", "/service_users": `{"name":"a"}`, "/bot_users": `{"name":"b"}`} {
		id := made(t, w.must(201, "POST", path, create), "id")
		body := map[bool]string{true: `{"id":"%s","name":"` + id + `"}`, false: `{"id":"%s","description":"x"}`}[create != ""]
		w.must(200, "PATCH", path+"/"+id, fmt.Sprintf(body, id))
	}
}

func TestAPI_19_TwoSpellingsOfServiceUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.must(201, "POST", "/bot_users", `{"name":"deploy"}`)
	id := made(t, bot, "id")
	service := "service_" + strings.TrimPrefix(id, "bot_")
	if bot["uri"] != w.url+"/bot_users/"+id || bot["active"] != true {
		t.Errorf("bot user = %v", bot)
	}
	got := w.must(200, "GET", "/service_users/"+service, "")
	if got["id"] != service || got["uri"] != w.url+"/service_users/"+service || got["name"] != "deploy" {
		t.Errorf("by the other path: %v", got)
	}
	for path, want := range map[string]string{"/service_users": service, "/bot_users": id} {
		items, _ := w.must(200, "GET", path, "")[path[1:]].([]any)
		if len(items) != 1 || items[0].(map[string]any)["id"] != want {
			t.Errorf("%s = %v, want %s alone", path, items, want)
		}
	}
	w.must(201, "POST", "/service_users", `{"name":"second"}`)
	page, _ := w.must(200, "GET", "/service_users?limit=1", "")["next_page_uri"].(string)
	items, _ := w.must(200, "GET", strings.TrimPrefix(page, w.url), "")["service_users"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["id"] != service {
		t.Errorf("second page = %v, want %s", items, service)
	}
	for _, owner := range []string{id, service} {
		if c := w.must(201, "POST", "/credentials", `{"owner_id":"`+owner+`"}`); c["owner_id"] != owner {
			t.Errorf("owner = %v, want %s as it was written", c["owner_id"], owner)
		}
	}
	w.must(204, "DELETE", "/service_users/"+service, "")
	w.must(404, "GET", "/bot_users/"+id, "")
}

func TestAPI_35_DeletedCredentialIsNotValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.must(201, "POST", "/credentials", "")
	id, token := made(t, c, "id"), made(t, c, "token")
	if h, err := w.gate.Agent(t.Context(), token, netip.Addr{}); err != nil || h.ID != id || !w.roster.Valid(id) {
		t.Fatalf("Agent = %+v, %v, want %s", h, err, id)
	}
	w.must(204, "DELETE", "/credentials/"+id, "")
	select {
	case <-w.roster.Revocations():
	default:
		t.Error("nobody was told of the revocation when it was answered")
	}
	if w.roster.Valid(id) {
		t.Error("the authtoken is still valid")
	}
	if _, err := w.gate.Agent(t.Context(), token, netip.Addr{}); !fault.Has(err, fault.TokenUnknown) {
		t.Errorf("Agent = %v, want %s", err, fault.TokenUnknown)
	}
	w.must(404, "DELETE", "/credentials/"+id, "")
}

func TestAPI_36_InactiveServiceUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := made(t, w.must(201, "POST", "/bot_users", `{"name":"deploy"}`), "id")
	key := w.keyOf(user)
	c := w.must(201, "POST", "/credentials", `{"owner_id":"`+user+`"}`)
	works := func(want bool) {
		t.Helper()
		status, code, _ := w.call(t, key, "GET", "/vaults", "")
		_, err := w.gate.Agent(t.Context(), made(t, c, "token"), netip.Addr{})
		if want && (status != 200 || err != nil || !w.roster.Valid(made(t, c, "id"))) {
			t.Errorf("got %d %s for the key and %v for the authtoken, want both accepted", status, code, err)
		}
		if !want && (status != 403 || code != fault.OwnerInactive || !fault.Has(err, fault.OwnerInactive) || w.roster.Valid(made(t, c, "id"))) {
			t.Errorf("got %d %s for the key and %v for the authtoken, want both %s", status, code, err, fault.OwnerInactive)
		}
	}
	works(true)
	w.must(200, "PATCH", "/bot_users/"+user, `{"active":false}`)
	works(false)
	w.must(200, "PATCH", "/bot_users/"+user, `{"active":true}`)
	works(true)
	w.must(204, "DELETE", "/bot_users/"+user, "")
	if status, code, _ := w.call(t, key, "GET", "/vaults", ""); status != 403 || code != fault.APIKeyUnknown {
		t.Errorf("key of a deleted user: got %d %s, want 403 %s", status, code, fault.APIKeyUnknown)
	}
	if items, _ := w.must(200, "GET", "/credentials", "")["credentials"].([]any); slices.ContainsFunc(items, func(o any) bool { return o.(map[string]any)["owner_id"] == user }) {
		t.Errorf("credentials of a deleted user are left: %v", items)
	}
}

// TestK1_TokensAreKeptAsHashes: nothing that the server keeps or answers later holds the text of a credential.
func TestK1_TokensAreKeptAsHashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := map[string]*regexp.Regexp{"/credentials": regexp.MustCompile(`^cvat_[a-z2-7]{32}$`), "/api_keys": regexp.MustCompile(`^cvak_[a-z2-7]{32}$`)}
	for path, form := range form {
		o := w.must(201, "POST", path, `{"description":"planted"}`)
		token, id := made(t, o, "token"), made(t, o, "id")
		if !form.MatchString(token) { // 32 letters of 5 bits are 160
			t.Errorf("%s: token %q, want the form %s", path, token, form)
		}
		for what, answer := range map[string]map[string]any{
			"get": w.must(200, "GET", path+"/"+id, ""), "update": w.must(200, "PATCH", path+"/"+id, `{"metadata":"m"}`), "list": w.must(200, "GET", path, ""),
		} {
			if strings.Contains(fmt.Sprint(answer), token) {
				t.Errorf("%s: %s shows the token: %v", path, what, answer)
			}
			if _, there := answer["token"]; what != "list" && (!there || answer["token"] != nil) {
				t.Errorf("%s: token of %s = %v, want null", path, what, answer["token"])
			}
		}
		if kept := w.files(); strings.Contains(kept, token) || !strings.Contains(kept, token[:8]) {
			t.Errorf("%s: the data directory holds the token, or not its first 8 characters", path)
		}
	}
	if strings.Contains(w.files(), firstKey) {
		t.Error("the data directory holds the bootstrap key")
	}
}

// TestT66_ForeignIdentities: what belongs to another account is not there, in paths and in bodies.
func TestT66_ForeignIdentities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := w.directory.NewAccount(t.Context(), "other", "ann@other.test")
	if err != nil {
		t.Fatal(err)
	}
	bot := made(t, w.must(201, "POST", "/bot_users", `{"name":"deploy"}`), "id")
	for path, create := range map[string]string{"/credentials": "", "/api_keys": "", "/service_users": `{"name":"a"}`, "/bot_users": `{"name":"b"}`} {
		id := made(t, w.must(201, "POST", path, create), "id")
		patch := map[bool]string{true: `{"name":"x"}`, false: `{"description":"x"}`}[create != ""]
		for _, r := range [][2]string{{"GET", ""}, {"PATCH", patch}, {"DELETE", ""}} {
			if status, code, e := w.call(t, other.APIKey, r[0], path+"/"+id, r[1]); status != 404 || code != "" {
				t.Errorf("%s %s/ID of another account = %d %v, want 404", r[0], path, status, e)
			}
		}
		_, _, list := w.call(t, other.APIKey, "GET", path, "")
		if strings.Contains(fmt.Sprint(list), id) {
			t.Errorf("list of %s shows what is another account's", path)
		}
	}
	for _, owner := range []string{bot, "service_" + bot[4:], "admin@localhost", "usr_000000000000000000000000000", "nobody", "ac_default"} {
		if status, code, e := w.call(t, other.APIKey, "POST", "/credentials", `{"owner_id":"`+owner+`"}`); status != 400 || code != fault.OwnerUnknown {
			t.Errorf("owner %s of another account = %d %v, want 400 %s", owner, status, e, fault.OwnerUnknown)
		}
	}
	if status, code, _ := w.call(t, other.APIKey, "POST", "/credentials", `{"owner_id":"ann@other.test","owner_email":"ann@other.test"}`); status != 400 || code != fault.OwnerTwice {
		t.Errorf("two owners: got %d %s, want 400 %s", status, code, fault.OwnerTwice)
	}
	if status, _, e := w.call(t, other.APIKey, "POST", "/service_users", `{"name":"deploy"}`); status != 201 {
		t.Errorf("a name that another account uses = %d %v, want 201", status, e)
	}
}

// TestT68_PrincipalsByPermissions holds every kind of principal against what only some may do.
func TestT68_PrincipalsByPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := func(email string, u identity.User) string {
		u.Email = email
		if _, err := w.directory.NewUser(t.Context(), identity.DefaultAccount, u); err != nil {
			t.Fatal(err)
		}
		return w.keyOf(email)
	}
	keys := map[string]string{
		"admin": firstKey, "second admin": user("admin2@a.test", identity.User{Admin: true, ReadOnly: true}),
		"developer": user("dev@a.test", identity.User{}), "reader": user("read@a.test", identity.User{ReadOnly: true}),
		"inactive": user("off@a.test", identity.User{}),
	}
	if err := w.directory.Activate(t.Context(), identity.DefaultAccount, "OFF@a.test", false); err != nil {
		t.Fatal(err)
	}
	bot := made(t, w.must(201, "POST", "/bot_users", `{"name":"deploy"}`), "id")
	keys["service user"] = w.keyOf(bot)
	keys["authtoken"] = made(t, w.must(201, "POST", "/credentials", `{"acl":["bind:a.test"]}`), "token")
	other, err := w.directory.NewAccount(t.Context(), "other", "ann@other.test")
	if err != nil {
		t.Fatal(err)
	}
	keys["suspended"] = other.APIKey
	if err := w.directory.Suspend(t.Context(), other.Account, false); err != nil {
		t.Fatal(err)
	}
	own := made(t, w.must(201, "POST", "/credentials", `{}`), "id")
	ownKey := made(t, w.must(201, "POST", "/api_keys", `{}`), "id")
	bots := made(t, w.must(201, "POST", "/credentials", `{"owner_id":"`+bot+`"}`), "id")
	locked := map[string]fault.Code{"reader": fault.OwnerReadOnly, "inactive": fault.OwnerInactive, "authtoken": fault.AuthtokenAsKey, "suspended": fault.AccountSuspended}
	n := 0
	for _, tt := range []struct {
		method, path, body string
		developer          fault.Code // what developers and service users get; administrators may do all
	}{
		{"GET", "/credentials", "", ""},
		{"GET", "/api_keys?limit=1", "", ""},
		{"POST", "/vaults", `{"name":"v%d"}`, ""},
		{"POST", "/api_keys", `{"metadata":"%d"}`, ""},
		{"POST", "/credentials", `{"metadata":"%d"}`, ""},
		{"POST", "/credentials", `{"metadata":"%d","owner_id":"admin@localhost"}`, fault.OwnerRefused},
		{"POST", "/api_keys", `{"metadata":"%d","owner_email":"admin@localhost"}`, fault.OwnerRefused},
		{"POST", "/service_users", `{"name":"s%d"}`, fault.ServiceUserAdmin},
		{"PATCH", "/service_users/service_" + bot[4:], `{"name":"n%d"}`, fault.ServiceUserAdmin},
		{"PATCH", "/bot_users/" + bot, `{"name":"n%d"}`, fault.ServiceUserAdmin},
		{"DELETE", "/bot_users/" + bot, "", fault.ServiceUserAdmin},
		{"PATCH", "/credentials/" + own, `{"metadata":"%d","acl":[]}`, fault.AdminCredential},
		{"DELETE", "/credentials/" + own, "", fault.AdminCredential},
		{"PATCH", "/api_keys/" + ownKey, `{"metadata":"%d"}`, fault.AdminCredential},
		{"DELETE", "/api_keys/" + ownKey, "", fault.AdminCredential},
		{"PATCH", "/credentials/" + bots, `{"metadata":"%d"}`, ""},
	} {
		for who, key := range keys {
			if tt.method == "DELETE" && strings.Contains(who, "admin") {
				continue // it would end the object
			}
			body := tt.body
			if n++; body != "" {
				body = fmt.Sprintf(tt.body, n)
			}
			want, ok := locked[who]
			if !ok && !strings.Contains(who, "admin") {
				want = tt.developer
			}
			status, code, e := w.call(t, key, tt.method, tt.path, body)
			if code != want || (want != "") != (status == 403) || want == "" && status >= 300 {
				t.Errorf("%s: %s %s %s = %d %v, want %q", who, tt.method, tt.path, body, status, e, want)
			}
		}
	}
	t.Logf("%d pairs", n)
}

// Who may not choose owners may name themselves.
func TestOwnerIsOneself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, err := w.directory.NewUser(t.Context(), identity.DefaultAccount, identity.User{Email: "dev@a.test"})
	if err != nil {
		t.Fatal(err)
	}
	key := w.keyOf(id)
	for _, body := range []string{`{}`, `{"owner_id":""}`, `{"owner_id":"` + id + `"}`, `{"owner_id":"Dev@a.test"}`, `{"owner_email":"dev@a.test"}`} {
		if status, _, c := w.call(t, key, "POST", "/credentials", body); status != 201 || c["owner_id"] != id {
			t.Errorf("%s: got %d %v, want the owner %s", body, status, c, id)
		}
	}
}

// TestA1_Audit: each write and each refused credential is recorded once, without secrets; refusals have a
// bound.
func TestA1_Audit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := len(w.audit())
	c := w.must(201, "POST", "/credentials", `{"acl":["bind:a.test"]}`)
	id := made(t, c, "id")
	w.must(200, "PATCH", "/credentials/"+id, `{"description":"x"}`)
	w.must(400, "PATCH", "/credentials/"+id, `{"acl":["x"]}`)
	w.must(204, "DELETE", "/credentials/"+id, "")
	var types []string
	for _, e := range w.audit()[before:] {
		types = append(types, e.Doc.Type)
		if e.Doc.Principal == "" || e.Doc.Credential == "" || e.Doc.Address == "" {
			t.Errorf("event %+v does not say who did it", e.Doc)
		}
	}
	if want := []string{"tunnel_credential_created.v0", "tunnel_credential_updated.v0", "tunnel_credential_deleted.v0"}; !slices.Equal(types, want) {
		t.Errorf("events = %q, want %q", types, want)
	}
	from := netip.MustParseAddr("192.0.2.1")
	for range 15 {
		_, _ = w.gate.APIKey(t.Context(), "cvat_planted_secret_text_0123", from)
	}
	_, _ = w.gate.Agent(t.Context(), "cvak_planted_secret_text_0123", netip.MustParseAddr("192.0.2.2"))
	failures := func() (n int) {
		for _, e := range w.audit() {
			if e.Doc.Type == "authentication_failed.v0" {
				n++
			}
		}
		return n
	}
	w.eventually("11 refusals are recorded: 10 of one address and one of another", func() bool { return failures() == 11 })
	if strings.Contains(w.files(), "planted_secret_text") {
		t.Error("the data directory holds a refused credential")
	}
	if strings.Contains(w.files(), made(t, c, "token")) {
		t.Error("the record holds the token that was made")
	}
}
