package workbench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

// document is a file of testdata/check. Its first comments, in the case of JSON the file beside it that ends in .want,
// say what check says of it:
//
//	for: KIND                        the endpoint: a scheme, cloud or internal; default any
//	want: LINE:COLUMN CODE TEXT      a mistake, and a part of its message
//	warn: LINE:COLUMN CODE TEXT      a warning
type document struct {
	file   workbench.File
	target policy.Target
	want   []string // warn or want, position, code
	texts  []string // of want
}

// documentsOf reads the documents of a folder.
func documentsOf(t *testing.T, kind string) []document {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "check", kind, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	for _, name := range files {
		if filepath.Ext(name) == ".want" {
			continue
		}
		d := document{file: workbench.File{Name: filepath.Base(name)}}
		if d.file.Text, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		notes := string(d.file.Text)
		if filepath.Ext(name) == ".json" {
			beside, err := os.ReadFile(name + ".want")
			if err != nil && kind == "broken" {
				t.Fatal(err)
			}
			notes = "# " + strings.ReplaceAll(string(beside), "\n", "\n# ")
		}
		for line := range strings.Lines(notes) {
			if !d.note(t, strings.TrimSpace(line)) {
				break
			}
		}
		all = append(all, d)
	}
	return all
}

// note reads a comment, and reports whether it was one.
func (d *document) note(t *testing.T, line string) bool {
	t.Helper()
	text, ok := strings.CutPrefix(line, "# ")
	if !ok {
		return false
	}
	what, rest, _ := strings.Cut(text, ": ")
	switch what {
	case "for":
		switch rest {
		case "cloud":
			d.target.Cloud = true
		case "internal":
			d.target = policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Internal}
		default:
			d.target.Scheme = endpoint.Scheme(rest)
		}
	case "want", "warn":
		f := strings.SplitN(rest, " ", 3)
		if len(f) < 3 {
			t.Fatalf("%s: %q has no position, code and text", d.file.Name, line)
		}
		d.want = append(d.want, fmt.Sprintf("%s: %s %s", what, f[0], f[1]))
		d.texts = append(d.texts, f[2])
	}
	return true
}

// check returns what check says of the document, in the notation of its notes.
func (d *document) check(t *testing.T, b *workbench.Bench) (sound bool, notes, messages []string) {
	t.Helper()
	w, o := output(true)
	if _, err := b.Check(o, []workbench.File{d.file}, d.target); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Sound       bool
		Diagnostics []workbench.Diagnostic
	}
	if err := json.Unmarshal([]byte(w.String()), &got); err != nil {
		t.Fatal(err)
	}
	for _, g := range got.Diagnostics {
		what := "want"
		if g.Severity == "warning" {
			what = "warn"
		}
		notes = append(notes, fmt.Sprintf("%s: %d:%d %s", what, g.Line, g.Column, g.Code))
		messages = append(messages, g.Message)
	}
	return got.Sound, notes, messages
}

// TestDocuments checks 50 documents that have to be accepted, and 50 that have to be refused, with the codes and at the
// places that they name, and in words that say what is meant.
func TestDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, kind := range []string{"sound", "broken"} {
		all := documentsOf(t, kind)
		if len(all) != 50 {
			t.Errorf("there are %d documents that are %s", len(all), kind)
		}
		for _, d := range all {
			t.Run(kind+"/"+d.file.Name, func(t *testing.T) {
				t.Parallel()
				sound, got, messages := d.check(t, b)
				if sound != (kind == "sound") {
					t.Errorf("got sound %t", sound)
				}
				same := slices.Equal(got, d.want)
				for i := range got {
					same = same && strings.Contains(messages[i], d.texts[i])
				}
				if !same {
					t.Errorf("got\n%s\nwant\n%s", told(got, messages), told(d.want, d.texts))
				}
			})
		}
	}
}

func told(notes, texts []string) string {
	var s strings.Builder
	for i, n := range notes {
		fmt.Fprintf(&s, "# %s %s\n", n, texts[i])
	}
	return s.String()
}
