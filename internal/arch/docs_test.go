package arch_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	mapRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// TestMapOfTheCode holds docs/code/map.md to the tree and to floors.txt, in both directions.
func TestMapOfTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/code/map.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range mapRow.FindAllStringSubmatch(string(text), -1) {
		if slices.Contains(listed, m[1]) {
			t.Errorf("docs/code/map.md lists %s twice", m[1])
		}
		listed = append(listed, m[1])
	}
	r := rules(t)
	for _, p := range tree(t) {
		if _, ok := r.Floors[p.Path]; ok && !slices.Contains(listed, p.Path) {
			t.Errorf("docs/code/map.md does not list %s", p.Path)
		}
	}
	for _, p := range listed {
		if _, ok := r.Floors[p]; !ok {
			t.Errorf("docs/code/map.md lists %s, which is on no floor of floors.txt", p)
		}
	}
}

// TestLinksOfTheManual follows every relative link of every Markdown file.
func TestLinksOfTheManual(t *testing.T) {
	t.Parallel()
	fsys := os.DirFS(root)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, ":") {
				continue
			}
			if _, err := fs.Stat(fsys, path.Join(path.Dir(name), to)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
