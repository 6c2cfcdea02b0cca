package arch_test

import (
	_ "embed"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/arch"
)

//go:embed floors.txt
var floors []byte

// root is the top of the tree, seen from this package.
const root = "../.."

func rules(t *testing.T) *arch.Rules {
	t.Helper()
	r, err := arch.ParseRules(floors)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tree(t *testing.T) []*arch.Package {
	t.Helper()
	pkgs, err := arch.ReadTree(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 5 {
		t.Fatalf("found %d packages; is %q the root of the tree?", len(pkgs), root)
	}
	return pkgs
}

func TestTreeKeepsTheFloors(t *testing.T) {
	t.Parallel()
	for _, v := range arch.Check(rules(t), tree(t)) {
		t.Error(v)
	}
}

func TestTreeSaysNoForbiddenWord(t *testing.T) {
	t.Parallel()
	found, err := arch.CheckWords(rules(t), os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// TestSizesAgainstTheAim only reports: the ceiling is enforced with the floors.
func TestSizesAgainstTheAim(t *testing.T) {
	t.Parallel()
	for _, line := range arch.Aims(rules(t), tree(t)) {
		t.Log(line)
	}
}

// TestClosureIsStandardLibrary asks the go command, because a closure crosses modules.
func TestClosureIsStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, pkg := range rules(t).Std {
		t.Run(strings.ReplaceAll(pkg, ".", "root"), func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			if len(files) == 0 {
				t.Logf("no Go files in %s yet", pkg)
				return
			}
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+pkg)
			cmd.Dir = root
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", cmd, err)
			}
			for dep := range strings.FieldsSeq(string(out)) {
				if dep != arch.Module && !strings.HasPrefix(dep, arch.Module+"/") {
					t.Errorf("%s depends on %s\n\trule: standard library only\n\tsee: go mod why %s", pkg, dep, dep)
				}
			}
		})
	}
}

// TestEveryModuleIsInTheWorkspace keeps go.work and the go.mod files together; tools stays out on purpose.
func TestEveryModuleIsInTheWorkspace(t *testing.T) {
	t.Parallel()
	work, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if d.Name() != "go.mod" || name == "tools/go.mod" {
			return nil
		}
		use := "./" + filepath.ToSlash(filepath.Dir(name))
		if use == "./." {
			use = "."
		}
		if !strings.Contains(string(work), "\t"+use+"\n") {
			t.Errorf("%s: module is not in go.work: add %q", name, use)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
