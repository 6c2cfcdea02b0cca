package fault_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// constants returns the names of the catalogue's constants.
func constants(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("catalogue_*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names { //nolint:errcheck,forcetypeassert // what constants are made of
					names[n.Name] = true
				}
			}
		}
	}
	return names
}

// TestEveryCodeIsUsed keeps codes out of the manual that nobody can ever meet:
// what is not built yet brings its codes along.
func TestEveryCodeIsUsed(t *testing.T) {
	t.Parallel()
	unused := constants(t)
	if len(unused) < 100 {
		t.Fatalf("found %d constants in the catalogue", len(unused))
	}
	use := regexp.MustCompile(`\bfault\.([A-Z]\w*)`)
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range use.FindAllSubmatch(text, -1) {
			delete(unused, string(m[1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(unused, "Internal") // raised by From
	for name := range unused {
		t.Errorf("nothing raises %s: raise it where it belongs, or take it out of the catalogue", name)
	}
}
