package expr_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/culvert-project/culvert/server/internal/expr"
)

var update = flag.Bool("update", false, "rewrite the manual's pages")

func TestExamplesOfFunctions(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, f := range expr.Functions() {
		v, problems := e.Value(f.Example, expr.Response)
		if v == nil {
			t.Errorf("%s: %s: %s", f.Name, f.Example, problems[0].Message)
			continue
		}
		if got, err := v.Text(e.NewFrame(request)); err != nil || got != f.Result {
			t.Errorf("%s: %s gives %q, %v, want %q", f.Name, f.Example, got, err, f.Result)
		}
	}
}

// TestPages holds the manual's pages to the tables that the compiler uses:
// go test ./server/internal/expr -run TestPages -update rewrites them.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{"variables.md": variablesPage(), "functions.md": functionsPage()} {
		path := filepath.Join("..", "..", "..", "docs", "policy", name)
		if *update {
			if err := os.WriteFile(path, []byte(page), 0o644); err != nil { //nolint:gosec // a page of the manual
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(have), page); diff != "" {
			t.Errorf("docs/policy/%s is not what the tables say; run go test ./server/internal/expr -run TestPages -update:\n%s", name, diff)
		}
	}
}

// TestLanguagePages evaluates the lines of the manual's "cel" blocks: an
// expression, and behind // what it comes to.
func TestLanguagePages(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, page := range []string{"language.md", "macros.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "policy", page))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```cel\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s has no examples", page)
		}
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")
			for line := range strings.Lines(block) {
				source, want, ok := strings.Cut(strings.TrimSpace(line), "   // ")
				v, problems := e.Value(source, expr.Response)
				if v == nil || !ok {
					t.Errorf("%s: %s: %v", page, line, problems)
					continue
				}
				if got, err := v.Text(e.NewFrame(request)); err != nil || got != want {
					t.Errorf("%s: %s gives %q, %v, want %q", page, source, got, err, want)
				}
			}
		}
	}
}

func variablesPage() string {
	var b strings.Builder
	b.WriteString("# Variables\n\nWhat expressions in a Traffic Policy can read. Every name always exists: where there is nothing to report it holds an empty text,\n" +
		"0, false, an empty list or map, or the zero time. A value is looked up only if an expression asks for it.\n\n" +
		"`req.` is known in `on_http_request`, `on_http_response` and `on_event_stream_message`, `res.` in the latter two, everything else in\n" +
		"all phases. What actions report stands on [their pages](../actions/).\n")
	family := ""
	for _, v := range expr.Variables() {
		if v.Alias != "" {
			continue
		}
		if first, _, _ := strings.Cut(v.Name, "."); first != family {
			family = first
			fmt.Fprintf(&b, "\n## %s\n\n| Name | Type | Meaning |\n| --- | --- | --- |\n", family)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Kind, v.Doc)
	}
	b.WriteString("\n## Older names\n\nStill accepted, with a warning.\n\n| Older | Now |\n| --- | --- |\n")
	for _, v := range expr.Variables() {
		if v.Alias != "" {
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", v.Name, v.Alias)
		}
	}
	return b.String()
}

func functionsPage() string {
	var b strings.Builder
	b.WriteString("# Functions\n\nExpressions are [CEL](https://cel.dev) with its standard library (`size`, `matches`, `startsWith`, `int`, `timestamp` …), its macros\n" +
		"(`all`, `exists`, `exists_one`, `filter`, `map`), `math.` and `sets.`, and what stands here. `T.` is the value that a function is a method of.\n")
	group := ""
	for _, f := range expr.Functions() {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n## %s\n\n| Function | Meaning | Example | Result |\n| --- | --- | --- | --- |\n", group)
		}
		cell := strings.NewReplacer("|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `%s` |\n", f.Signature, f.Doc, cell.Replace(f.Example), cell.Replace(f.Result))
	}
	return strings.ReplaceAll(b.String(), "``", " ")
}
