package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a document.
const (
	// MaxDocument is the largest document, in bytes.
	MaxDocument = 256 << 10
	// maxNodes bounds a document after its aliases were expanded, maxDepth how
	// deep it may nest.
	maxNodes = 100_000
	maxDepth = 100
)

// kind is what a node is.
type kind uint8

const (
	null kind = iota
	text
	number // an int or a float
	boolean
	list
	mapping
)

var kindNames = [...]string{"nothing", "a text", "a number", "true or false", "a list", "a mapping"}

func (k kind) String() string { return kindNames[k] }

// node is a value of a document and where it stands.
type node struct {
	kind         kind
	integer      bool   // of a number
	text         string // of a scalar, as written (of a text: its content)
	line, column int
	style        style          // of a scalar
	source       *source        // for places within a scalar
	keys         []*node        // of a mapping, in order
	items        []*node        // of a list, or the values of a mapping
	at           map[string]int // where a key stands
}

// get returns a mapping's value, nil if it has none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	if i, ok := n.at[key]; ok {
		return n.items[i]
	}
	return nil
}

// scalar reports whether the node is a text, number or bool.
func (n *node) scalar() bool { return n.kind == text || n.kind == number || n.kind == boolean }

// shown is the node in a message.
func (n *node) shown() string {
	switch n.kind {
	case text:
		return strconv.Quote(n.text)
	case number, boolean:
		return n.text
	case null, list, mapping:
	}
	return n.kind.String()
}

// problem is a mistake in the notation itself.
type problem struct {
	line, column int
	message      string
}

// Error implements error.
func (p *problem) Error() string { return p.message }

// readNodes parses YAML or JSON. With a problem behind which nothing can be
// read the node is nil.
func readNodes(doc []byte) (*node, []*problem) {
	var mistakes []*problem
	read := readYAML
	trimmed := bytes.TrimLeft(doc, " \t\r\n")
	if len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(doc) {
		read = readJSON
	}
	root, err := read(&source{text: doc}, &mistakes)
	if err == nil {
		return root, mistakes
	}
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{1, 1, err.Error()}
	}
	if j := jsonProblem(doc, trimmed); j != nil {
		p = j
	}
	return nil, append(mistakes, p)
}

// jsonProblem explains why a text that begins as JSON does, and is no YAML, is
// not valid; nil if it begins in another way.
func jsonProblem(doc, trimmed []byte) *problem {
	rest, ok := bytes.CutPrefix(trimmed, []byte("{"))
	if rest = bytes.TrimLeft(rest, " \t\r\n"); !ok || len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	var any json.RawMessage
	err, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(doc, &any))
	if !ok {
		return nil
	}
	line, column := (&source{text: doc}).at(max(int(err.Offset)-1, 0))
	return &problem{line, column, "not valid JSON: " + err.Error()}
}

func readYAML(src *source, mistakes *[]*problem) (*node, error) {
	d := yaml.NewDecoder(bytes.NewReader(src.text))
	var root yaml.Node
	switch err := d.Decode(&root); {
	case errors.Is(err, io.EOF):
		return &node{kind: null, line: 1, column: 1}, nil
	case err != nil:
		return nil, yamlProblem(src, err)
	}
	var more yaml.Node
	if err := d.Decode(&more); err == nil {
		return nil, &problem{more.Line, more.Column, "a policy is one document, and here begins another one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlProblem(src, err)
	}
	e := expander{source: src, mistakes: mistakes}
	return e.node(root.Content[0], 0)
}

// yamlProblem takes the line out of the message of the YAML library.
func yamlProblem(src *source, err error) error {
	p := &problem{line: 1, column: 1}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(message, "line %d:", &p.line); n == 1 {
		_, message, _ = strings.Cut(message, ": ")
	}
	p.message = "not valid YAML: " + message
	if strings.HasPrefix(message, "did not find expected") || strings.HasPrefix(message, "mapping values are not allowed") {
		p.line = src.unparsed(p.line)
		p.message += "; compare its indentation with the lines above"
	}
	line, _ := src.line(p.line)
	p.column = utf8.RuneCountInString(line) - utf8.RuneCountInString(strings.TrimLeft(line, " ")) + 1
	switch {
	case strings.ContainsRune(line[:len(line)-len(strings.TrimLeft(line, " \t"))], '\t'):
		p.message += "; indent with spaces, not with tabs"
	case strings.Contains(message, "did not find expected alphabetic or numeric character") || strings.Contains(message, "tag"):
		p.message += "; a text that begins with !, * or & has to be quoted"
	}
	return p
}

// maxReparse bounds the search for the line with a mistake, in bytes that are
// parsed once more.
const maxReparse = 512 << 10

// unparsed returns the first line with which a text is not valid YAML any more,
// whatever follows. The library names the one where the block around it
// begins, which is returned if the text is large.
func (s *source) unparsed(from int) int {
	if len(s.text)*bytes.Count(s.text, []byte("\n")) > maxReparse {
		return from
	}
	end := len(s.text)
	for {
		var n yaml.Node
		if yaml.Unmarshal(s.text[:end], &n) == nil {
			break
		}
		end = bytes.LastIndexByte(s.text[:max(end-1, 0)], '\n') + 1
		if end == 0 {
			break
		}
	}
	line, _ := s.at(end)
	return max(line, from)
}

// expander turns YAML nodes into ours, with aliases expanded.
type expander struct {
	source   *source
	mistakes *[]*problem // that do not keep the rest from being read
	count    int
	active   []*yaml.Node // aliases on the way
}

// bounded counts a value, and refuses one too many or too deep.
func bounded(count *int, depth, line, column int) error {
	if *count++; *count > maxNodes {
		return &problem{line, column, fmt.Sprintf("the document has more than %d values, its aliases expanded", maxNodes)}
	}
	if depth > maxDepth {
		return &problem{line, column, fmt.Sprintf("the document nests deeper than %d levels", maxDepth)}
	}
	return nil
}

func (e *expander) node(y *yaml.Node, depth int) (*node, error) {
	n := &node{line: y.Line, column: y.Column, text: y.Value, source: e.source}
	if err := bounded(&e.count, depth, y.Line, y.Column); err != nil {
		return nil, err
	}
	switch y.Kind {
	case yaml.AliasNode:
		for _, a := range e.active {
			if a == y.Alias {
				return nil, &problem{y.Line, y.Column, "the alias *" + y.Value + " contains itself"}
			}
		}
		e.active = append(e.active, y.Alias)
		defer func() { e.active = e.active[:len(e.active)-1] }()
		n, err := e.node(y.Alias, depth+1)
		if p, ok := errors.AsType[*problem](err); ok {
			p.line, p.column = y.Line, y.Column // where it is used
		}
		return n, err
	case yaml.ScalarNode:
		e.scalar(n, y)
		return n, nil
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range y.Content {
			item, err := e.node(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapping
		return n, e.mapping(n, y, depth)
	default:
		return nil, &problem{y.Line, y.Column, "this is no value"}
	}
}

func (e *expander) mapping(n *node, y *yaml.Node, depth int) error {
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, err := e.node(y.Content[i], depth+1)
		if err != nil {
			return err
		}
		value, err := e.node(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if y.Content[i].Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		n.add(key, value, e.mistakes)
	}
	for _, m := range merged {
		from := []*node{m}
		if m.kind == list {
			from = m.items
		}
		for _, m := range from {
			if m.kind != mapping {
				return &problem{m.line, m.column, "<< merges mappings, and this is " + m.kind.String()}
			}
			for i, k := range m.keys {
				if _, ok := n.at[k.text]; !ok {
					n.put(k, m.items[i])
				}
			}
		}
	}
	return nil
}

// add appends an entry of a mapping.
func (n *node) add(key, value *node, mistakes *[]*problem) {
	if !key.scalar() {
		*mistakes = append(*mistakes, &problem{key.line, key.column, "a key has to be a text"})
		return
	}
	if i, ok := n.at[key.text]; ok {
		*mistakes = append(*mistakes, &problem{key.line, key.column, fmt.Sprintf("the key %s stands here twice, first in line %d", key.text, n.keys[i].line)})
		if !value.scalar() { // what is in it is judged too
			n.keys, n.items = append(n.keys, key), append(n.items, value)
		}
		return
	}
	n.put(key, value)
}

func (n *node) put(key, value *node) {
	if n.at == nil {
		n.at = make(map[string]int)
	}
	n.at[key.text] = len(n.keys)
	n.keys, n.items = append(n.keys, key), append(n.items, value)
}

// scalar sets what a scalar is. Words such as yes and on stay texts, as YAML 1.2
// has it.
func (e *expander) scalar(n *node, y *yaml.Node) {
	n.style = styleOf(y.Style)
	switch y.ShortTag() {
	case "!!str", "!!timestamp", "!!binary", "!!merge":
		n.kind = text
	case "!!null":
		n.kind = null
	case "!!bool":
		n.kind = boolean
		n.text = strings.ToLower(n.text)
	case "!!int":
		n.kind, n.integer = number, true
	case "!!float":
		n.kind = number
	default:
		n.kind, n.text = text, strings.TrimSpace(y.Tag+" "+y.Value)
		*e.mistakes = append(*e.mistakes, &problem{y.Line, y.Column, n.text + " begins with a tag of YAML; a text that begins with ! has to be quoted"})
	}
}

// readJSON parses JSON, which is known to be valid. The YAML library does not
// know all of its escapes and would refuse its tabs.
func readJSON(src *source, mistakes *[]*problem) (*node, error) {
	j := &jsonReader{d: json.NewDecoder(bytes.NewReader(src.text)), source: src, doc: src.text, mistakes: mistakes, line: 1}
	j.d.UseNumber()
	return j.value(0)
}

type jsonReader struct {
	d         *json.Decoder
	source    *source
	doc       []byte
	mistakes  *[]*problem
	count     int
	at        int // doc up to here is counted
	line, bol int // line number and where it begins
}

// token returns the next token and a node with its position.
func (j *jsonReader) token() (json.Token, *node, error) {
	from := int(j.d.InputOffset())
	for from < len(j.doc) && strings.IndexByte(" \t\r\n,:", j.doc[from]) >= 0 {
		from++
	}
	for ; j.at < from; j.at++ {
		if j.doc[j.at] == '\n' {
			j.line, j.bol = j.line+1, j.at+1
		}
	}
	t, err := j.d.Token()
	n := &node{line: j.line, column: utf8.RuneCount(j.doc[j.bol:from]) + 1, source: j.source}
	if from < len(j.doc) && j.doc[from] == '"' {
		n.style = doubleQuoted
	}
	return t, n, err
}

func (j *jsonReader) value(depth int) (*node, error) {
	t, n, err := j.token()
	if err != nil {
		return nil, err
	}
	if err := bounded(&j.count, depth, n.line, n.column); err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		n.kind = null
	case string:
		n.kind, n.text = text, t
	case bool:
		n.kind, n.text = boolean, fmt.Sprint(t)
	case json.Number:
		n.kind, n.text, n.integer = number, t.String(), !strings.ContainsAny(t.String(), ".eE")
	case json.Delim:
		return j.container(n, t, depth)
	}
	return n, nil
}

func (j *jsonReader) container(n *node, t json.Delim, depth int) (*node, error) {
	n.kind = list
	if t == '{' {
		n.kind = mapping
	}
	for j.d.More() {
		if n.kind == list {
			item, err := j.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
			continue
		}
		k, key, err := j.token()
		if err != nil {
			return nil, err
		}
		key.kind, key.text = text, k.(string) //nolint:forcetypeassert // valid JSON
		value, err := j.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.add(key, value, j.mistakes)
	}
	_, _, err := j.token() // the closing one
	return n, err
}
