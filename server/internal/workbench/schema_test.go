package workbench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

// compiled returns the schema, which has to be one.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	w, _ := output(true)
	if err := newBench(t).Schema(w); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(w.String()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	if s.DraftVersion != 2020 {
		t.Errorf("the schema is of draft %d", s.DraftVersion)
	}
	return s
}

// validate judges a document in YAML by the schema.
func validate(t *testing.T, s *jsonschema.Schema, doc string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(doc), &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if v, err = jsonschema.UnmarshalJSON(strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// documents returns the policies of the manual and of the tests of actions, by
// where they stand.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	pages, err := filepath.Glob("../../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
			doc, _, _ := strings.Cut(block, "```")
			all[fmt.Sprintf("%s, example %d", page, i+1)] = doc
		}
	}
	archives, err := filepath.Glob("../action/*/testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives (%v)", err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if base := filepath.Base(f.Name); base == "policy.yml" || base == "policy.json" {
				all[name+" "+f.Name] = string(f.Data)
			}
		}
	}
	return all
}

// TestSchemaAcceptsWhatCheckAccepts holds the schema to real documents: whatever
// the compiler takes is valid.
func TestSchemaAcceptsWhatCheckAccepts(t *testing.T) {
	t.Parallel()
	s, b := compiled(t), newBench(t)
	accepted, refused := 0, 0
	for name, doc := range documents(t) {
		_, o := output(true)
		sound, err := b.Check(o, []workbench.File{{Name: name, Text: []byte(doc)}}, policy.Target{})
		if err != nil {
			t.Fatal(err)
		}
		invalid := validate(t, s, doc)
		switch {
		case sound && invalid != nil:
			t.Errorf("%s is sound, and the schema says %v\n%s", name, invalid, doc)
		case sound:
			accepted++
		case invalid != nil:
			refused++
		}
	}
	if accepted < 100 || refused < 10 {
		t.Errorf("the schema accepted %d documents and refused %d", accepted, refused)
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for name, doc := range map[string]string{
		"a misspelt phase":     "on_http_reqest: []",
		"no actions":           "on_http_request: [{name: x}]",
		"an unknown action":    "on_http_request: [{actions: [{type: denny}]}]",
		"the wrong phase":      "on_tcp_connect: [{actions: [{type: add-headers, config: {headers: {a: b}}}]}]",
		"an unknown setting":   "on_http_request: [{actions: [{type: deny, config: {status: 404}}]}]",
		"a number off bounds":  "on_http_request: [{actions: [{type: deny, config: {status_code: 200}}]}]",
		"a missing setting":    "on_http_request: [{actions: [{type: redirect, config: {}}]}]",
		"a missing config":     "on_http_request: [{actions: [{type: redirect}]}]",
		"a value of no enum":   "on_tcp_connect: [{actions: [{type: terminate-tls, config: {min_version: '1.1'}}]}]",
		"a bare duration":      "on_http_request: [{actions: [{type: rate-limit, config: {name: a, algorithm: sliding_window, capacity: 1, rate: '60', bucket_key: [a]}}]}]",
		"a text for a bool":    "on_http_request: [{actions: [{type: restrict-ips, config: {enforce: 'yes'}}]}]",
		"a text for a mapping": "on_http_request: [{actions: [{type: add-headers, config: {headers: x}}]}]",
		"no mapping":           "[]",
	} {
		if err := validate(t, s, doc); err == nil {
			t.Errorf("%s: the schema accepts %s", name, doc)
		}
	}
}

// TestSchemaDescribes asks for what editors show: every setting of every action
// that is built has a description.
func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	w, _ := output(true)
	if err := newBench(t).Schema(w); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema string `json:"$schema"`
		Defs   map[string]struct {
			Properties map[string]struct {
				Properties map[string]struct {
					Description string
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(w.String()), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Schema != workbench.Draft {
		t.Errorf("got $schema %s", doc.Schema)
	}
	if len(doc.Defs) < 28 {
		t.Errorf("got %d definitions", len(doc.Defs))
	}
	for action, d := range doc.Defs {
		for name, setting := range d.Properties["config"].Properties {
			if setting.Description == "" {
				t.Errorf("%s: the setting %s has no description", action, name)
			}
		}
	}
}
