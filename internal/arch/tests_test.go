package arch_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the last column of docs/tests.md anew")

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)`)
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)\\w*?)(_?…)?`")
	idRow     = regexp.MustCompile(`(?m)^(\| ([A-Z][A-Za-z]*)(\d+) \| [^|]+ \|)(.*)$`)
	inPackage = regexp.MustCompile("`([^`]+)`: ((?:`\\w+`(?:, )?)+)")
)

// tests returns the folders of all tests, by name.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	fsys := os.DirFS(root)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			if dir := path.Dir(name); !slices.Contains(all[m[1]], dir) {
				all[m[1]] = append(all[m[1]], dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// carries returns what the names of a row's tests match. One and two digits are
// the same number; rows of HTTP/1.1 are told from the hazards of the agent
// protocol by their prefix, and scenarios may stand in a row, as in 05_08.
func carries(kind, number string) *regexp.Regexp {
	number = "0?" + strings.TrimLeft(number, "0")
	switch kind {
	case "H":
		return regexp.MustCompile(`^TestHTTP(_H\d+)*_H` + number + `(_|$)`)
	case "API":
		return regexp.MustCompile(`(^Test|_)API_?(\d\d_)*` + number + `(_|$)`)
	case "Policy", "Endpoints":
		return regexp.MustCompile(`(^Test|_)` + kind + `(\d\d_)*` + number + `(_|$)`)
	default:
		return regexp.MustCompile(`^(Test|Fuzz)(\w+_)?` + kind + number + `(_|$)`)
	}
}

// TestListOfTests holds docs/tests.md to the code: each row has a test, and
// each test that any page names exists.
func TestListOfTests(t *testing.T) {
	t.Parallel()
	all := tests(t)
	if *update {
		write(t, all)
	}
	for _, name := range []string{"tests.md", "reliability.md", "conformance.md", "security.md"} {
		text, err := os.ReadFile(root + "/docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
			if !exists(all, m[1], m[2] != "") {
				t.Errorf("docs/%s names %s, which does not exist", name, m[0])
			}
		}
		if name != "tests.md" {
			continue
		}
		for _, m := range idRow.FindAllStringSubmatch(string(text), -1) {
			if !namedTest.MatchString(m[4]) {
				t.Errorf("docs/tests.md: %s%s has no test", m[2], m[3])
			}
		}
		for _, m := range inPackage.FindAllStringSubmatch(string(text), -1) {
			for _, n := range namedTest.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(all[n[1]], m[1]) {
					t.Errorf("docs/tests.md names %s of %s, which does not exist there", n[1], m[1])
				}
			}
		}
	}
}

// exists reports whether there is a test of a name, or one that begins so.
func exists(all map[string][]string, name string, prefix bool) bool {
	if !prefix {
		return len(all[name]) > 0
	}
	for n := range all {
		if strings.HasPrefix(n, name) {
			return true
		}
	}
	return false
}

// write puts the tests of each row into docs/tests.md.
func write(t *testing.T, all map[string][]string) {
	t.Helper()
	const page = root + "/docs/tests.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out := idRow.ReplaceAllStringFunc(string(text), func(row string) string {
		m := idRow.FindStringSubmatch(row)
		carried := carries(m[2], m[3])
		byPackage := make(map[string][]string)
		for name, dirs := range all {
			if carried.MatchString(name) {
				for _, dir := range dirs {
					byPackage[dir] = append(byPackage[dir], name)
				}
			}
		}
		var cells []string
		for dir, names := range byPackage {
			slices.Sort(names)
			cells = append(cells, fmt.Sprintf("`%s`: `%s`", dir, strings.Join(names, "`, `")))
		}
		slices.Sort(cells)
		return m[1] + " " + strings.Join(cells, "; ") + " |"
	})
	if err := os.WriteFile(page, []byte(out), 0o644); err != nil { //nolint:gosec // a page
		t.Fatal(err)
	}
}
