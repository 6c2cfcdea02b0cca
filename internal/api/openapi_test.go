package api_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
)

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	text := api.OpenAPI(api.All())
	if !bytes.Equal(text, api.OpenAPI(api.All())) {
		t.Error("two documents of the same tables differ")
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi = %v", doc["openapi"])
	}
	checkReferences(t, doc, doc)

	paths, _ := doc["paths"].(map[string]any)
	want := []string{"get /", "get /self", "get /usage"}
	for _, r := range api.All() {
		for _, route := range r.Routes() {
			want = append(want, strings.ToLower(route.Method)+" "+route.Path)
		}
	}
	var got []string
	ids := map[any]bool{}
	for path, item := range paths {
		for method, operation := range item.(map[string]any) {
			got = append(got, method+" "+path)
			op, _ := operation.(map[string]any)
			if id := op["operationId"]; id == nil || ids[id] {
				t.Errorf("%s %s: operationId %v is missing or not unique", method, path, id)
			}
			ids[op["operationId"]] = true
			checkOperation(t, method+" "+path, op)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the document has\n%s\nthe tables have\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkOperation judges what every operation has: answers with an error among them, the version header, and a
// parameter for each place in the path.
func checkOperation(t *testing.T, name string, op map[string]any) {
	t.Helper()
	responses, _ := op["responses"].(map[string]any)
	if len(responses) != 2 || responses["default"] == nil {
		t.Errorf("%s: responses = %v, want one success and the error", name, responses)
	}
	params, err := json.Marshal(op["parameters"])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(params, []byte("parameters/version")) || strings.Contains(name, "{id}") != bytes.Contains(params, []byte("parameters/id")) {
		t.Errorf("%s: parameters = %s", name, params)
	}
	if summary, _ := op["summary"].(string); !strings.HasSuffix(summary, ".") {
		t.Errorf("%s: summary = %q", name, summary)
	}
}

// checkReferences follows every $ref.
func checkReferences(t *testing.T, doc map[string]any, value any) {
	t.Helper()
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			checkReferences(t, doc, item)
		}
	case map[string]any:
		for name, item := range v {
			to, isText := item.(string)
			if name != "$ref" || !isText {
				checkReferences(t, doc, item)
				continue
			}
			var found any = doc
			for step := range strings.SplitSeq(strings.TrimPrefix(to, "#/"), "/") {
				inner, _ := found.(map[string]any)
				found = inner[step]
			}
			if found == nil {
				t.Errorf("%s leads nowhere", to)
			}
		}
	}
}
