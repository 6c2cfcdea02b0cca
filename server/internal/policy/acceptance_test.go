package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/policy"
)

func TestPolicy04_NameOfAnyScalar(t *testing.T) {
	t.Parallel()
	d, found := policy.Parse("p.yml", []byte("on_http_request:\n"+
		"  - {name: 404, actions: [{type: note}]}\n"+
		"  - {name: 1.50, actions: [{type: note}]}\n"+
		"  - {name: true, actions: [{type: note}]}\n"+
		"  - {name: 2024-01-01, actions: [{type: note}]}\n"+
		"  - {name: yes, actions: [{type: note}]}\n"+
		"  - {name: ~, actions: [{type: note}]}\n"))
	if len(found) > 0 {
		t.Fatal(found)
	}
	p, found := newCompiler(t).Compile(d, policy.Target{Scheme: endpoint.HTTPS})
	if len(found) > 0 {
		t.Fatal(found)
	}
	var got []string
	for _, r := range p.Rules(policy.OnHTTPRequest) {
		got = append(got, r.Name)
	}
	if s := strings.Join(got[:5], "|"); s != "404|1.50|true|2024-01-01|yes" {
		t.Errorf("got names %s", s)
	}
}

// TestPolicy10_DuplicatesAndBombs: a key that stands twice is refused wherever
// it stands, and what would fill the memory before it is filled: the largest
// of these would have 10^15 values and more.
func TestPolicy10_DuplicatesAndBombs(t *testing.T) {
	t.Parallel()
	const rule = "on_http_request: [{actions: [{type: note, config: "
	// levels defines a0 to a15, each made of several of the one before.
	levels := func(first, each string) string {
		doc := "a0: &a0 " + first + "\n"
		for i := range 15 {
			doc += fmt.Sprintf("a%d: &a%d %s\n", i+1, i+1, strings.ReplaceAll(each, "*", fmt.Sprint("*a", i)))
		}
		return doc
	}
	for _, tt := range []struct{ name, doc, want string }{
		{"phase", "on_http_request: []\non_http_request: []", "2:1: the key on_http_request stands here twice"},
		{"rule", "on_http_request: [{name: a, actions: [{type: note}], name: b}]", "1:54: the key name stands here twice"},
		{"setting", rule + "{status: 200, status: 201}}]}]", "the key status stands here twice"},
		{"header", rule + "{headers: {a: 1, a: 2}}}]}]", "the key a stands here twice"},
		{"quoted", rule + "{headers: {a: 1, 'a': 2}}}]}]", "the key a stands here twice"},
		{"JSON", `{"on_http_request": [{"actions": [{"type": "note", "type": "note"}]}]}`, "1:52: the key type stands here twice"},
		{"JSON escapes", `{"on_http_request": [], "on\u005fhttp_request": []}`, "stands here twice"},
		{"lists", levels("[x,x,x,x,x,x,x,x,x,x]", "[*,*,*,*,*,*,*,*,*,*]"), "more than 100000 values"},
		{"mappings", levels("{a: x, b: x, c: x}", "{a: *, b: *, c: *, d: *, e: *, f: *, g: *, h: *, i: *, j: * }"), "more than 100000 values"},
		{"merges", levels("{a: x, b: x, c: x}", "{<<: [*,*,*,*,*,*,*,*,*,*]}"), "more than 100000 values"},
		{"keys", "? &a [x]\n: *a\n", "a key has to be a text"},
		{"itself", "on_http_request: &a [*a]", "contains itself"},
		{"itself, merged", "a: &a\n  <<: *a\n", "contains itself"},
		{"deep YAML", strings.Repeat("[", 100_000), "ERR_NGROK_2236"},
		{"deep JSON", `{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}", "nests deeper"},
	} {
		d, found := policy.Parse("", []byte(tt.doc))
		if d != nil || !strings.Contains(found.Error(), tt.want) || !strings.Contains(found.Error(), "ERR_NGROK_2236") {
			t.Errorf("%s: got %q, want %q", tt.name, found.Error(), tt.want)
		}
	}
}
