package api_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

var update = flag.Bool("update", false, "write the pages of docs/api anew")

const pages = "../../docs/api"

// Every resource has a page in the manual that says what its table says, and the first page leads to it.
func TestPagesOfTheManual(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join(pages, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tables := api.All()
	known := []string{"README.md", "commands.md"}
	for _, r := range tables {
		if r.SpellingOf != "" {
			continue
		}
		name := r.Command() + ".md"
		known = append(known, name)
		if !strings.Contains(string(index), "]("+name+")") {
			t.Errorf("docs/api/README.md does not lead to %s", name)
		}
		path, want := filepath.Join(pages, name), page(r, tables)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("docs/api/%s differs from the table (%v); run: go test ./internal/api -run TestPagesOfTheManual -update", name, err)
		}
	}
	there, err := os.ReadDir(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range there {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("docs/api/%s is the page of no resource", e.Name())
		}
	}
}

// page is the page of a resource.
func page(r *api.Resource, tables []*api.Resource) string {
	var b strings.Builder
	title := strings.TrimPrefix(r.Summary(api.List), "list ")
	fmt.Fprintf(&b, "# %s\n\n", strings.ToUpper(title[:1])+title[1:])
	b.WriteString("<!-- Made of the table in internal/api by its tests; change it there. -->\n\n")
	fmt.Fprintf(&b, "%s Ids begin with `%s_`. What holds for all resources is on [the first page](README.md).\n\n", r.Doc, r.Prefix)
	for _, other := range tables {
		if other.SpellingOf == r.Path {
			fmt.Fprintf(&b, "Older clients know it as `%s`, with ids that begin with `%s_`: the same objects.\n\n", other.Path, other.Prefix)
		}
	}
	b.WriteString("| Request | Command | |\n| --- | --- | --- |\n")
	for _, route := range r.Routes() {
		name, doc, id := string(route.Verb), r.Summary(route.Verb), ""
		if route.Action != nil {
			name, doc = route.Action.Name, route.Action.Doc
		}
		if route.HasID() {
			id = " ID"
		}
		fmt.Fprintf(&b, "| `%s %s` | `culvert api %s %s%s` | %s |\n", route.Method, route.Path, r.Command(), name, id, doc)
	}
	fmt.Fprintf(&b, "\nA list has its objects under `%s`.", r.ListKey)
	if len(r.Filter) > 0 {
		fmt.Fprintf(&b, " Its `filter` may name `%s`.", strings.Join(r.Filter, "`, `"))
	}
	b.WriteString("\n\n## Fields\n\n| Field | Type | Create | Update | Answer | |\n| --- | --- | --- | --- | --- | --- |\n")
	answered := names(r.Answer)
	rows(&b, "", r.Fields, answered)
	codes := codesOf(r, nil, r.Fields)
	for i := range r.Actions {
		if a := &r.Actions[i]; len(a.Fields) > 0 {
			fmt.Fprintf(&b, "\n## Body of %s\n\n| Field | Type | Create | Update | Answer | |\n| --- | --- | --- | --- | --- | --- |\n", a.Name)
			rows(&b, "", a.Fields, nil)
			codes = codesOf(r, codes, a.Fields)
		}
	}
	if len(codes) > 0 {
		b.WriteString("\n## Errors of the fields\n\n")
	}
	for _, c := range codes {
		e, _ := fault.Lookup(c)
		fmt.Fprintf(&b, "- [%s](../errors.md#%s): %s\n", c, strings.ToLower(string(c)), lowered(e.Title))
	}
	return b.String()
}

// lowered is a title in the middle of a line: its first letter is small unless
// the word is an abbreviation.
func lowered(title string) string {
	if word, _, _ := strings.Cut(title, " "); word != strings.ToUpper(word) || len(word) == 1 {
		return strings.ToLower(title[:1]) + title[1:]
	}
	return title
}

// rows are the lines of a table of fields; fields of objects follow theirs.
func rows(b *strings.Builder, within string, fields []api.Field, answered []string) {
	for i := range fields {
		f := &fields[i]
		if f.Create == api.Ignored || f.Update == api.Ignored {
			continue
		}
		yes := ""
		if slices.Contains(answered, f.Name) {
			yes = "yes"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", within+f.Name, typeText(f), useText(f.Create), useText(f.Update), yes, strings.ReplaceAll(f.Doc, "|", "\\|"))
		var inner []string // the fields of an object that is answered
		for _, f := range f.Fields {
			if yes != "" && !f.Secret {
				inner = append(inner, f.Name)
			}
		}
		rows(b, within+f.Name+".", f.Fields, inner)
	}
}

func typeText(f *api.Field) string {
	text := [...]string{"text", "true or false", "number", "time", "list of texts", "object", "list of objects", "reference", "list of references", "object of texts"}[f.Type]
	if f.Enum != nil {
		text = "`" + strings.Join(f.Enum, "`, `") + "`"
	}
	if f.Max > 0 {
		text += fmt.Sprintf(", at most %d bytes", f.Max)
	}
	return text
}

func useText(u api.Use) string {
	return [...]string{"", "may be", "has to be", ""}[u]
}

// codesOf returns the codes that a resource and its fields have of their own, in the order of their numbers.
func codesOf(r *api.Resource, have []fault.Code, fields []api.Field) []fault.Code {
	list := append(have, r.EmptyUpdate, r.NotFound)
	for i := range fields {
		f := &fields[i]
		list = append(list, f.Missing, f.TooLong, f.Invalid)
		list = codesOf(r, list, f.Fields)
	}
	slices.SortFunc(list, func(a, b fault.Code) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(string(a), string(b))
	})
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(c fault.Code) bool { return c == "" })
}
