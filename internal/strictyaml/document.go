package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a document. They are far beyond any file a person writes.
const (
	maxBytes = 1 << 20
	maxDepth = 64
	maxNodes = 100_000
)

// Options change how a document is read. The zero value is the default.
type Options struct {
	// Env looks up environment variables for ${env:NAME} in string values; "$${env:" stands for the text
	// itself. Nil leaves all text as it is.
	Env func(name string) (value string, ok bool)
}

// Document is a parsed file that remembers where each key stands.
type Document struct {
	file     string
	root     *yaml.Node // nil for an empty file
	env      func(string) (string, bool)
	at       map[string]*yaml.Node // path of a key to the node of the key, or of the list's item
	values   map[string]*yaml.Node
	problems Problems // of structure, found while parsing
	nodes    int
}

// Parse reads the file's structure. It fails, with [Problems], only where the text is not YAML or exceeds its
// bounds; other problems of structure are reported by Decode together with all the rest.
func Parse(file string, data []byte, o Options) (*Document, error) {
	d := &Document{file: file, env: o.Env, at: make(map[string]*yaml.Node), values: make(map[string]*yaml.Node)}
	if len(data) > maxBytes {
		return nil, Problems{{File: file, Message: "the file is larger than 1 MiB"}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return nil, Problems{syntaxProblem(file, data, err)}
	}
	if len(doc.Content) > 0 {
		d.root = doc.Content[0]
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, Problems{syntaxProblem(file, data, err)}
	default:
		d.problems = append(d.problems, Problem{
			File: file, Line: second.Line, Column: second.Column,
			Message: "the file has a second document", Hint: "remove the line with ---",
		})
	}
	if d.root != nil && !d.index(d.root, "", 0) {
		return nil, Problems{{File: file, Message: "the file is too deep or too large once its aliases are followed"}}
	}
	return d, nil
}

// Decode decodes the document into the struct that into points to. The error is of type [Problems].
func (d *Document) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("strictyaml: Decode needs a pointer")
	}
	dec := decoder{doc: d, problems: append(Problems(nil), d.problems...)}
	if d.root != nil {
		dec.value(d.root, "", v.Elem())
	}
	return dec.problems.Err()
}

// Problem returns a problem at the place of the key with this path, or of the nearest key around it. Callers
// report with it what only they can judge.
func (d *Document) Problem(key, message, hint string) Problem {
	p := Problem{File: d.file, Key: key, Message: message, Hint: hint}
	for path := key; ; path = parent(path) {
		if n, ok := d.at[path]; ok {
			p.Line, p.Column = n.Line, n.Column
			return p
		}
		if path == "" {
			return p
		}
	}
}

// Has reports whether the document has a key with this path and a value that is not empty.
func (d *Document) Has(key string) bool {
	n, ok := d.values[key]
	return ok && !isNull(n)
}

// Scalar returns the text of the scalar at the path, as written.
func (d *Document) Scalar(key string) (text string, ok bool) {
	n, ok := d.values[key]
	if !ok || n.Kind != yaml.ScalarNode || isNull(n) {
		return "", false
	}
	return n.Value, true
}

// index notes where each key stands and reports problems of structure. It returns false when the document
// exceeds its bounds.
func (d *Document) index(n *yaml.Node, path string, depth int) bool {
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		return false
	}
	n = target(n)
	d.values[path] = n
	if n.Style&yaml.TaggedStyle != 0 {
		d.problems = append(d.problems, Problem{
			File: d.file, Line: n.Line, Column: n.Column, Key: path,
			Message: "the tag " + shorten(n.Tag) + " is not supported", Hint: "leave it out",
		})
	}
	switch n.Kind {
	case yaml.MappingNode:
		seen := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if !d.goodKey(k, path, seen) {
				continue
			}
			child := join(path, k.Value)
			d.at[child] = k
			if !d.index(v, child, depth+1) {
				return false
			}
		}
	case yaml.SequenceNode:
		for i, v := range n.Content {
			child := path + "[" + strconv.Itoa(i) + "]"
			d.at[child] = v
			if !d.index(v, child, depth+1) {
				return false
			}
		}
	}
	return true
}

// goodKey refuses keys that are not plain text, merge keys and repeated keys.
func (d *Document) goodKey(k *yaml.Node, path string, seen map[string]int) bool {
	report := func(key, message, hint string) bool {
		d.problems = append(d.problems, Problem{File: d.file, Line: k.Line, Column: k.Column, Key: key, Message: message, Hint: hint})
		return false
	}
	switch {
	case k.Kind != yaml.ScalarNode:
		return report(path, "a key must be plain text", "")
	case k.Tag == "!!merge":
		return report(join(path, k.Value), "merge keys are not supported", "write the keys out")
	}
	if line, twice := seen[k.Value]; twice {
		return report(join(path, k.Value), "the key is given twice", "it stands on line "+strconv.Itoa(line)+" already")
	}
	seen[k.Value] = k.Line
	return true
}

// target follows an alias. Parsed aliases always have a target, and it is never an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func join(path, key string) string {
	if !plainKey.MatchString(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i > 0 {
		return path[:i]
	}
	return ""
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntaxProblem turns an error of the YAML parser into a problem and names tabs, its most usual cause.
func syntaxProblem(file string, data []byte, err error) Problem {
	p := Problem{File: file, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Message = err.Error()[len(m[0]):]
	}
	p.Message = "not valid YAML at or after this line: " + p.Message
	n := 0
	for line := range bytes.Lines(data) {
		n++
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 && len(bytes.TrimSpace(line)) > 0 {
			p.Line, p.Column = n, tab+1
			p.Message, p.Hint = "a tab indents the line", "use spaces"
			break
		}
	}
	return p
}
