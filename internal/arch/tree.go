package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Package is one folder with Go files in it.
type Package struct {
	Path  string // relative to the root of the tree, "." for the root itself
	Files []*File
}

// File is one Go file.
type File struct {
	Name      string // relative to the root of the tree
	Package   string // the name in its package clause
	Test      bool   // ends in _test.go
	Generated bool   // begins with the standard header of generated code
	Lines     int
	Imports   []Import
	Calls     []Call
	Funcs     []Func
}

// Import is one import of a file.
type Import struct {
	Path string
	Line int
}

// Call is one mention of a function of another package, such as os.Exit.
type Call struct {
	Name string // "import/path.Name"
	Line int
}

// Func is one declared function and how many lines it takes.
type Func struct {
	Name        string
	Line, Lines int
}

// skipDirs are folders that hold no source of the tree.
var skipDirs = []string{".git", "node_modules", "testdata", "dist", "vendor"}

// ReadTree reads every Go file below the root of fsys, sorted by path.
func ReadTree(fsys fs.FS) ([]*Package, error) {
	byPath := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipDirs, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := readFile(fsys, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byPath[dir] == nil {
			byPath[dir] = &Package{Path: dir}
		}
		byPath[dir].Files = append(byPath[dir].Files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	out := make([]*Package, 0, len(byPath))
	for _, p := range byPath {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// readFile parses one file.
func readFile(fsys fs.FS, name string) (*File, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &File{
		Name: name, Package: tree.Name.Name, Test: strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(tree), Lines: bytes.Count(src, []byte("\n")),
	}
	line := func(p token.Pos) int { return set.Position(p).Line }
	local := map[string]string{} // name used in this file -> import path
	for _, im := range tree.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return nil, err
		}
		f.Imports = append(f.Imports, Import{Path: p, Line: line(im.Pos())})
		as := path.Base(p)
		if im.Name != nil {
			as = im.Name.Name
		}
		local[as] = p
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && local[x.Name] != "" {
				f.Calls = append(f.Calls, Call{Name: local[x.Name] + "." + n.Sel.Name, Line: line(n.Pos())})
			}
		case *ast.FuncDecl:
			first := line(n.Pos())
			f.Funcs = append(f.Funcs, Func{Name: n.Name.Name, Line: first, Lines: line(n.End()) - first + 1})
		}
		return true
	})
	return f, nil
}

// name is the package's name, taken from its first file that is no test.
func (p *Package) name() string {
	for _, f := range p.Files {
		if !f.Test {
			return f.Package
		}
	}
	return ""
}
