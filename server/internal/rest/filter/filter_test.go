package filter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/rest/filter"
)

// thing has a field of each kind.
type thing struct {
	api.Meta
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Pooling    bool      `json:"pooling_enabled"`
	Port       uint16    `json:"port"`
	Bindings   []string  `json:"bindings"`
	ACL        []string  `json:"acl"`
	Principal  *api.Ref  `json:"principal"`
	Policy     api.Ref   `json:"ip_policy"`
	Refs       []api.Ref `json:"refs"`
	StartedAt  time.Time `json:"started_at"`
	OwnerID    string    `json:"owner_id"`
	Deployment struct {
		Name string `json:"name"`
	} `json:"deployment"`
	Nullable *string `json:"nullable"`
}

func table() *api.Resource {
	return &api.Resource{
		Fields: []api.Field{
			{Name: "name"},
			{Name: "type"},
			{Name: "pooling_enabled", Type: api.Bool},
			{Name: "port", Type: api.Number},
			{Name: "bindings", Type: api.Strings},
			{Name: "acl", Type: api.Strings},
			{Name: "principal", Type: api.RefType},
			{Name: "ip_policy", Type: api.RefType},
			{Name: "refs", Type: api.Refs},
			{Name: "started_at", Type: api.Time},
			{Name: "owner_id"},
			{Name: "deployment", Type: api.Object, Fields: []api.Field{{Name: "name"}}},
			{Name: "nullable"},
		},
		Filter: []string{
			"id", "created_at", "name", "type", "pooling_enabled", "port", "bindings", "acl", "principal.id", "ip_policy",
			"ip_policy.id", "refs", "started_at", "owner_id", "deployment.name", "nullable",
		},
	}
}

var now = time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)

func object() *thing {
	o := &thing{
		Meta: api.Meta{ID: "ep_1", CreatedAt: now.Add(-48 * time.Hour)},
		Name: `a "b" é`, Type: "ephemeral", Pooling: true, Port: 443, Bindings: []string{"public"},
		Principal: &api.Ref{ID: "usr_1"}, Policy: api.Ref{ID: "ipp_1"}, Refs: []api.Ref{{ID: "x_1"}}, OwnerID: "usr_1",
	}
	o.Deployment.Name = "blue"
	return o
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{`obj.id == "ep_1"`, true},
		{`obj.id != "ep_1"`, false},
		{`"ep_1" == obj.id`, true},
		{`obj.id == 'ep_1'`, true},
		{` obj . id=="ep_1" `, true},
		{`obj.id in ["a", "ep_1"]`, true},
		{`obj.id in []`, false},
		{`!(obj.id in ["a"])`, true},
		{`obj.name == "a \"b\" é"`, true},
		{`obj.name == "a \x22b\u0022 \U000000e9"`, true},
		{`obj.name == "a\n\t\\"`, false},
		{`obj.name.startsWith("a ")`, true},
		{`obj.name.endsWith("é")`, true},
		{`obj.name.contains("\"b\"")`, true},
		{`obj.name.contains("c")`, false},
		{`size(obj.name) == 7`, true},
		{`7 <= size(obj.name)`, true},
		{`obj.name < "b"`, true},
		{`obj.name >= "b"`, false},
		{`obj.name == null`, false},
		{`obj.nullable == null`, true},
		{`obj.nullable == ""`, true},
		{`obj.nullable.contains("")`, false},
		{`obj.type == "agent"`, true},
		{`obj.type == "ephemeral"`, true},
		{`obj.type in ["agent", "cloud"]`, true},
		{`obj.type == "cloud"`, false},
		{`obj.pooling_enabled`, true},
		{`!obj.pooling_enabled`, false},
		{`obj.pooling_enabled == true`, true},
		{`obj.pooling_enabled != true`, false},
		{`obj.port == 443`, true},
		{`obj.port > -1 && obj.port < 443.5`, true},
		{`"public" in obj.bindings`, true},
		{`"public" in obj.binding`, true},
		{`"internal" in obj.bindings`, false},
		{`obj.acl == null`, true},
		{`obj.acl == ""`, true},
		{`obj.acl == []`, true},
		{`size(obj.acl) == 0`, true},
		{`obj.acl != null`, false},
		{`obj.bindings != null && size(obj.bindings) > 0`, true},
		{`obj.principal.id == "usr_1"`, true},
		{`obj.ip_policy == "ipp_1" && obj.ip_policy.id == "ipp_1"`, true},
		{`"x_1" in obj.refs`, true},
		{`obj.deployment.name == "blue"`, true},
		{`obj.created_at < timestamp(time.now)`, true},
		{`obj.created_at > timestamp(time.now).subtract("3d")`, true},
		{`obj.created_at > timestamp(time.now).subtract("1d12h")`, false},
		{`timestamp("2026-05-08T12:00:00Z") == obj.created_at`, true},
		{`obj.created_at > timestamp("2026-05-08Z")`, true},
		{`obj.created_at > timestamp("2026-05-08Z").add("24h").subtract("1s")`, false},
		{`obj.created_at > "2026-05-08T00:00:00Z"`, true},
		{`obj.started_at == null`, true},
		{`obj.started_at < timestamp(time.now)`, false},
		{`obj.started_at != timestamp(time.now)`, true},
		{`true`, true},
		{`false || obj.id == "ep_1"`, true},
		{`obj.id == "a" || obj.id == "b" && true`, false},
		{`(obj.id == "a" || obj.port == 443) && obj.pooling_enabled`, true},
		{`!!obj.pooling_enabled`, true},
	} {
		match, err := filter.Compile(tt.filter, table(), now)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		for _, o := range []any{object(), *object()} {
			if got := match(o); got != tt.want {
				t.Errorf("%s = %v, want %v", tt.filter, got, tt.want)
			}
		}
	}
}

// What a filter may not do, with what the refusal has to name.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for filterText, says := range map[string]string{
		``:                                   "the end",
		`obj`:                                "name of a field",
		`obj.secret == "x"`:                  "obj.secret is no field of this filter; the fields are obj.id, obj.created_at",
		`obj.principal == "x"`:               "obj.principal is no field",
		`obj.id`:                             "comparison",
		`id == "x"`:                          "obj.id",
		`obj.id == `:                         "the end",
		`obj.id == "x`:                       "closing",
		`obj.id == "\q"`:                     "escape",
		`obj.id = "x"`:                       "means nothing",
		`obj.port + 1 == 2`:                  "means nothing",
		`obj.port - 1 == 2`:                  "comparison",
		`obj.port == 443 ? true : false`:     "means nothing",
		`obj.bindings[0] == "x"`:             "comparison",
		`obj.id == obj.name`:                 "two fields",
		`1 == 1`:                             "one side has to be a field",
		`obj.port == "443"`:                  "another kind",
		`obj.name == 1`:                      "another kind",
		`obj.name == true`:                   "another kind",
		`obj.pooling_enabled > true`:         "no order",
		`obj.acl < "x"`:                      "no order",
		`obj.acl == "x"`:                     "another kind",
		`obj.name > null`:                    "no order",
		`obj.id.contains("e")`:               "as a whole",
		`obj.id.startsWith("e")`:             "as a whole",
		`obj.principal.id.contains("e")`:     "as a whole",
		`obj.owner_id.endsWith("e")`:         "as a whole",
		`obj.ip_policy.contains("e")`:        "as a whole",
		`obj.acl.contains("x")`:              "\"value\" in obj.acl",
		`obj.port.contains("4")`:             "a number",
		`obj.name.matches("x")`:              "there is no \"matches\"",
		`obj.name.startsWith(1)`:             "a text",
		`obj.name.startsWith("a") == true`:   "== stands where",
		`obj.acl.exists(x, true)`:            "a text",
		`type(obj.id) == string`:             "type is unknown",
		`size(obj.port) == 1`:                "no size",
		`size(obj.name) == "1"`:              "with a number",
		`size(obj.name)`:                     "comparison",
		`"a" in obj.name`:                    "no list",
		`1 in obj.acl`:                       "texts only",
		`obj.id in obj.acl`:                  "[",
		`obj.id in ["a", obj.name]`:          "values",
		`obj.id in [["a"]]`:                  "a value",
		`obj.id in ["a" "b"]`:                ",",
		`obj.id == ["a"]`:                    "behind in only",
		`obj.created_at > timestamp("soon")`: "no time",
		`obj.created_at > timestamp(now)`:    "time.now",
		`obj.created_at > timestamp(time.now).add("1w")`:            "s, m, h and d",
		`obj.created_at > timestamp(time.now).add("")`:              "no duration",
		`obj.created_at > timestamp(time.now).add("999999999999d")`: "no duration",
		`obj.created_at > timestamp(time.now).add("999999999d")`:    "too long",
		`obj.created_at > timestamp(time.now).year("1")`:            "add or subtract",
		`obj.created_at > "soon"`:                                   "no time",
		`obj.id == "a" obj.id == "b"`:                               "&&, ||",
		`obj.id == "a" &&`:                                          "the end",
		`(obj.id == "a"`:                                            ")",
		`(obj.id) == "a"`:                                           "comparison",
		`obj.port == 0x10`:                                          "a number",
		`obj.port == 1e`:                                            "a number",
		`obj..id == "a"`:                                            "name of a field",
		"obj.id == \"a\nb\"":                                        "closing",
		`obj.id == "a" && é`:                                        "means nothing",
	} {
		match, err := filter.Compile(filterText, table(), now)
		if err == nil {
			t.Errorf("%s is accepted and says %v", filterText, match(object()))
			continue
		}
		if !fault.Has(err, fault.FilterInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s and %q", filterText, err, fault.FilterInvalid, says)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat(`obj.id == "a" || `, n), " || ") }
	for _, tt := range []struct {
		name, filter string
		ok           bool
	}{
		{"32 comparisons", many(32), true},
		{"33 comparisons", many(33), false},
		{"4 KiB", fmt.Sprintf("obj.id == %q", strings.Repeat("x", 4096-12)), true},
		{"more than 4 KiB", fmt.Sprintf("obj.id == %q", strings.Repeat("x", 4096-11)), false},
		{"30 deep", strings.Repeat("(", 30) + "true" + strings.Repeat(")", 30), true},
		{"33 deep", strings.Repeat("(", 33) + "true" + strings.Repeat(")", 33), false},
		{"a row of not", strings.Repeat("!", 4000) + "true", false},
	} {
		if _, err := filter.Compile(tt.filter, table(), now); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want accepted: %v", tt.name, err, tt.ok)
		}
	}
}

// A filter is refused with one code or judges every object; and the same filter judges an object the same way.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`obj.id == "ep_1" && !(obj.name.contains("b") || size(obj.acl) > 0)`, `"public" in obj.bindings`, `obj.port in [1, -2.5, 443]`,
		`obj.created_at > timestamp(time.now).subtract("3d").add("1h")`, `timestamp("2026-05-08Z") <= obj.created_at`, `obj.name == "\x41\u00e9\U0001F600\n"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		match, err := filter.Compile(text, table(), now)
		if err != nil {
			if !fault.Has(err, fault.FilterInvalid) {
				t.Fatalf("%q: %v, want %s", text, err, fault.FilterInvalid)
			}
			return
		}
		if first, second := match(object()), match(object()); first != second {
			t.Errorf("%q says %v and then %v", text, first, second)
		}
		match(thing{})
		match(struct{}{})
		match(nil)
	})
}
