package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
)

// SetKeys writes keys of the agent into the file at path, in order, and creates
// the file with "version: 3" if it does not exist. Keys have the names of
// version 3; in a file of version 2 they are written under their older names. An
// empty value removes the key. Comments, the order of keys and everything else
// in the file stay as they are. The file is replaced in one step and ends up with
// mode 0600.
func SetKeys(path string, pairs ...[2]string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // write through a link instead of replacing it
	}
	text, err := readBounded(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = []byte("version: 3\n")
	case err != nil:
		return fault.Wrap(err, fault.ConfigUnreadable, path, err)
	}
	edited, err := Edit(path, text, pairs...)
	if err != nil {
		return err
	}
	if err := writeFile(path, edited); err != nil {
		return fault.Wrap(err, fault.ConfigUnreadable, path, err)
	}
	return nil
}

// Edit is SetKeys on text; path names it in messages. Text without a version is
// given one.
func Edit(path string, text []byte, pairs ...[2]string) ([]byte, error) {
	text, v2, err := withVersion(path, text)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		names := []string{"agent", p[0]}
		if v2 {
			names = []string{p[0]}
			if old := oldNames[p[0]]; old != nil {
				names[0] = old[0]
			}
		}
		if text, err = edit(text, names, p[1]); err != nil {
			return nil, fault.Wrap(err, fault.ConfigInvalid, path+": "+err.Error())
		}
	}
	return text, nil
}

// withVersion makes sure that the text has a version, and tells which.
func withVersion(path string, text []byte) (out []byte, v2 bool, err error) {
	root, err := parse(text)
	if err != nil {
		return nil, false, fault.Wrap(err, fault.ConfigInvalid, path+": "+err.Error())
	}
	if root == nil {
		return append([]byte("version: 3\n"), text...), false, nil
	}
	_, version := child(root, "version")
	if version == nil {
		return append([]byte("version: 3\n"), text...), false, nil
	}
	return text, version.Value == "2", nil
}

// parse returns the root mapping of a document, or nil when there is none.
func parse(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("the file is not a mapping of keys to values")
	}
	return doc.Content[0], nil
}

// child finds a key of a mapping.
func child(m *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// edit sets one key, of one or two names, by changing as little text as
// possible. The result is read back; a text in which the change did not work is
// never returned.
func edit(text []byte, names []string, value string) ([]byte, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode}
	}
	if _, old := find(root, names); old == nil && value == "" {
		return text, nil
	}
	for _, way := range []func([]byte, *yaml.Node, []string, string) []byte{editText, editNodes} {
		if out := way(text, root, names, value); out != nil && holds(out, names, value) {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s cannot be written; edit the file by hand", strings.Join(names, "."))
}

func find(root *yaml.Node, names []string) (key, value *yaml.Node) {
	value = root
	for _, n := range names {
		if value == nil || value.Kind != yaml.MappingNode {
			return nil, nil
		}
		key, value = child(value, n)
	}
	return key, value
}

// holds reports whether the text has the value at the key.
func holds(text []byte, names []string, value string) bool {
	root, err := parse(text)
	if err != nil || root == nil {
		return false
	}
	_, v := find(root, names)
	if value == "" {
		return v == nil
	}
	return v != nil && v.Kind == yaml.ScalarNode && v.Value == value
}

// editText works on lines. It returns nil where the layout is not the usual
// block style.
func editText(text []byte, root *yaml.Node, names []string, value string) []byte {
	if rareBreak.Match(text) {
		return nil // the lines that YAML counts are others
	}
	lines := strings.SplitAfter(string(text), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	} else {
		lines[n-1] += "\n"
	}
	last := names[len(names)-1]
	if key, old := find(root, names); key != nil {
		if old.Kind != yaml.ScalarNode || key.Line != old.Line || old.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || key.Line > len(lines) {
			return nil
		}
		i := key.Line - 1
		if value == "" {
			lines[i] = ""
		} else {
			lines[i] = replaceValue(lines[i], value)
		}
		return []byte(strings.Join(lines, ""))
	}
	entry := last + ": " + quote(value) + "\n"
	if len(names) == 1 {
		return []byte(strings.Join(lines, "") + entry)
	}
	key, parent := child(root, names[0])
	switch {
	case key == nil:
		return []byte(strings.Join(lines, "") + names[0] + ":\n  " + entry)
	case parent.Kind == yaml.MappingNode && len(parent.Content) > 0 && parent.Style&yaml.FlowStyle == 0 && parent.Content[0].Line > key.Line:
		first := parent.Content[0]
		indent := strings.Repeat(" ", first.Column-1)
		return insert(lines, first.Line-1, indent+entry)
	case parent.ShortTag() == "!!null" && strings.TrimSpace(stripComment(lines[key.Line-1])) == names[0]+":":
		return insert(lines, key.Line, "  "+entry)
	}
	return nil
}

func insert(lines []string, at int, line string) []byte {
	if at > len(lines) {
		return nil
	}
	return []byte(strings.Join(lines[:at], "") + line + strings.Join(lines[at:], ""))
}

// stripComment cuts a comment off a line whose value has no quotes.
func stripComment(line string) string {
	if i := strings.Index(line, " #"); i >= 0 {
		return line[:i]
	}
	return line
}

// rareBreak matches ends of lines for YAML other than a newline.
var rareBreak = regexp.MustCompile("\r(?:[^\n]|$)|[\u0085\u2028\u2029]")

// scalarOnLine matches "key: value # comment" with a plain or quoted value.
var scalarOnLine = regexp.MustCompile(`^(\s*(?:"[^"]*"|'[^']*'|[^\s:#"']+)\s*:[ \t]*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|.*?)([ \t]+#.*)?(\r?\n)$`)

// replaceValue puts a new value on a line and keeps indentation and comment.
func replaceValue(line, value string) string {
	m := scalarOnLine.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	lead := m[1]
	if !strings.HasSuffix(lead, " ") && !strings.HasSuffix(lead, "\t") {
		lead += " "
	}
	return lead + quote(value) + m[3] + m[4]
}

// quote writes a value as a YAML scalar, plain where that is safe.
func quote(value string) string {
	var n yaml.Node
	n.SetString(value)
	b, err := yaml.Marshal(&n)
	if err != nil || bytes.Count(b, []byte("\n")) != 1 {
		return fmt.Sprintf("%q", value)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// editNodes is the way for unusual layouts: the document is written anew from
// its nodes, which keeps comments and order but not blank lines.
func editNodes(_ []byte, root *yaml.Node, names []string, value string) []byte {
	at := root
	for _, n := range names[:len(names)-1] {
		_, next := child(at, n)
		switch {
		case next == nil:
			next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: n}, next)
		case next.Kind != yaml.MappingNode:
			*next = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: next.HeadComment, LineComment: next.LineComment, FootComment: next.FootComment}
		}
		at = next
	}
	last := names[len(names)-1]
	for i := 0; i+1 < len(at.Content); i += 2 {
		if at.Content[i].Value != last {
			continue
		}
		if value == "" {
			at.Content = append(at.Content[:i], at.Content[i+2:]...)
			return encode(root)
		}
		at.Content[i+1] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, LineComment: at.Content[i+1].LineComment}
		return encode(root)
	}
	at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: last}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
	return encode(root)
}

func encode(root *yaml.Node) []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if enc.Encode(root) != nil || enc.Close() != nil {
		return nil
	}
	return b.Bytes()
}

// writeFile replaces the file at path, whose directory need not exist.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return datafile.Write(path, text, 0o600)
}
