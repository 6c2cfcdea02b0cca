package api_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
)

// names returns the JSON names of a struct.
func names(answer any) []string {
	var list []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(answer)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			list = append(list, name)
		}
	}
	return list
}

// A table and the struct of its answers have the same names: what stands in answers only is in the struct, what
// the struct has is in the table, and what is secret is not in the struct.
func TestTablesMatchTheirAnswers(t *testing.T) {
	t.Parallel()
	for _, r := range api.All() {
		if r.Answer == nil {
			t.Errorf("%s: the table names no answer", r.Path)
			continue
		}
		answered := names(r.Answer)
		var fields []string
		for i := range r.Fields {
			f := &r.Fields[i]
			if slices.Contains(fields, f.Name) {
				t.Errorf("%s: the field %s is there twice", r.Path, f.Name)
			}
			fields = append(fields, f.Name)
			inAnswer := slices.Contains(answered, f.Name)
			switch {
			case f.Create == api.Never && f.Update == api.Never && !inAnswer:
				t.Errorf("%s: the field %s can neither be given nor is it answered", r.Path, f.Name)
			case f.Secret && inAnswer:
				t.Errorf("%s: the secret field %s is answered", r.Path, f.Name)
			case f.Doc == "" && f.Create != api.Ignored && f.Update != api.Ignored:
				t.Errorf("%s: the field %s has no Doc", r.Path, f.Name)
			}
		}
		for _, name := range answered {
			if !slices.Contains(fields, name) && !slices.Contains([]string{"id", "uri", "created_at"}, name) {
				t.Errorf("%s: the answer has %s, the table does not", r.Path, name)
			}
		}
		for _, name := range slices.Concat(r.Filter, r.AnyOf) {
			if first, _, _ := strings.Cut(name, "."); !slices.Contains(answered, first) {
				t.Errorf("%s: filters may name %s, which no answer has", r.Path, name)
			}
		}
	}
}

func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	tables := api.All()
	seen := map[string]string{}
	once := func(what, value, path string) {
		if other := seen[what+" "+value]; other != "" {
			t.Errorf("%s and %s have the same %s %s", other, path, what, value)
		}
		seen[what+" "+value] = path
	}
	for _, r := range tables {
		once("path", r.Path, r.Path)
		once("name", r.Name, r.Path)
		once("prefix", r.Prefix, r.Path)
		for _, name := range append([]string{r.Command()}, r.Aliases...) {
			once("command", name, r.Path)
		}
		if !strings.HasPrefix(r.Path, "/") || r.ListKey == "" || r.Prefix == "" || len(r.Verbs) == 0 || !strings.HasSuffix(r.Doc, ".") {
			t.Errorf("%s: path, list key, prefix, verbs or the sentence about it are missing: %+v", r.Path, r)
		}
		if r.SpellingOf != "" && api.ByPath(tables, r.SpellingOf) == nil {
			t.Errorf("%s is a spelling of %s, which is not there", r.Path, r.SpellingOf)
		}
		for _, route := range r.Routes() {
			once("route", route.Method+" "+route.Path, r.Path)
		}
		for _, a := range r.Actions {
			if a.Lists != "" && (api.ByPath(tables, a.Lists) == nil || a.Method != "GET") {
				t.Errorf("%s: the action %s lists %s by %s", r.Path, a.Name, a.Lists, a.Method)
			}
		}
	}
}
