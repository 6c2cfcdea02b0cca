package standard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// TestManual compiles every policy that stands on the pages of the actions, and
// asks for their sections and for the action in an example.
func TestManual(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../../../docs/actions/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no pages (%v)", err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		action := strings.TrimSuffix(filepath.Base(page), ".md")
		for _, want := range []string{"# " + action + "\n", "\n## Purpose\n", "\n## Configuration\n", "\n## Behaviour\n", "\n## Examples\n", "- type: " + action} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %q", page, strings.TrimSpace(want))
			}
		}
		for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
			doc, _, _ := strings.Cut(block, "```")
			d, found := policy.Parse(action, []byte(doc))
			if !found.Failed() {
				var more policy.Diagnostics
				_, more = c.Compile(d, policy.Target{})
				found = append(found, more...)
			}
			if len(found) > 0 {
				t.Errorf("%s, example %d: %v", page, i+1, found)
			}
		}
	}
}
