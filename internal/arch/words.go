package arch

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"unicode/utf8"
)

// maxWordFile bounds the files that are searched for words; larger ones are data.
const maxWordFile = 4 << 20

// CheckWords searches every text file of the tree, Go or not, for what must not be written anywhere.
func CheckWords(r *Rules, fsys fs.FS) ([]Violation, error) {
	var out []Violation
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if d.Name() != "testdata" && slices.Contains(skipDirs, d.Name()) {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxWordFile {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil || bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
			return err
		}
		for _, w := range r.Words {
			if at := w.Pattern.FindIndex(text); at != nil {
				line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
				out = append(out, Violation{fmt.Sprintf("%s:%d", name, line), fmt.Sprintf("says %q", text[at[0]:at[1]]), "not in the tree: " + w.Reason})
			}
		}
		return nil
	})
	return out, err
}
