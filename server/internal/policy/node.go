package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

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

// problem is a mistake in the notation itself.
type problem struct {
	line, column int
	message      string
}

// Error implements error.
func (p *problem) Error() string { return p.message }

// readNodes parses YAML or JSON.
func readNodes(doc []byte) (*node, error) {
	if trimmed := bytes.TrimLeft(doc, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(doc) {
		return readJSON(doc)
	}
	return readYAML(doc)
}

func readYAML(doc []byte) (*node, error) {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	var root yaml.Node
	switch err := d.Decode(&root); {
	case errors.Is(err, io.EOF):
		return &node{kind: null, line: 1, column: 1}, nil
	case err != nil:
		return nil, yamlProblem(err)
	}
	var more yaml.Node
	if err := d.Decode(&more); err == nil {
		return nil, &problem{more.Line, more.Column, "a policy is one document, and here begins another one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlProblem(err)
	}
	e := expander{}
	return e.node(root.Content[0], 0)
}

// yamlProblem takes the line out of the message of the YAML library.
func yamlProblem(err error) error {
	p := &problem{column: 1}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(message, "line %d:", &p.line); n == 1 {
		_, message, _ = strings.Cut(message, ": ")
	}
	p.message = "not valid YAML: " + message
	if strings.Contains(message, "did not find expected alphabetic or numeric character") || strings.Contains(message, "tag") {
		p.message += "; a text that begins with !, * or & has to be quoted"
	}
	return p
}

// expander turns YAML nodes into ours, with aliases expanded.
type expander struct {
	count  int
	active []*yaml.Node // aliases on the way
}

func (e *expander) node(y *yaml.Node, depth int) (*node, error) {
	n := &node{line: y.Line, column: y.Column, text: y.Value}
	if e.count++; e.count > maxNodes {
		return nil, &problem{y.Line, y.Column, fmt.Sprintf("the document has more than %d values, its aliases expanded", maxNodes)}
	}
	if depth > maxDepth {
		return nil, &problem{y.Line, y.Column, fmt.Sprintf("the document nests deeper than %d levels", maxDepth)}
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
		return n, err
	case yaml.ScalarNode:
		return n, scalarKind(n, y)
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
		if err := n.add(key, value); err != nil {
			return err
		}
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
func (n *node) add(key, value *node) error {
	if !key.scalar() {
		return &problem{key.line, key.column, "a key has to be a text"}
	}
	if _, ok := n.at[key.text]; ok {
		return &problem{key.line, key.column, fmt.Sprintf("the key %s stands here twice", key.text)}
	}
	n.put(key, value)
	return nil
}

func (n *node) put(key, value *node) {
	if n.at == nil {
		n.at = make(map[string]int)
	}
	n.at[key.text] = len(n.keys)
	n.keys, n.items = append(n.keys, key), append(n.items, value)
}

// scalarKind sets what a scalar is. Words such as yes and on stay texts, as
// YAML 1.2 has it.
func scalarKind(n *node, y *yaml.Node) error {
	switch y.ShortTag() {
	case "!!str", "!!timestamp", "!!binary":
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
	case "!!merge":
		n.kind = text
	default:
		return &problem{y.Line, y.Column, fmt.Sprintf("%s begins with a tag of YAML; a text that begins with ! has to be quoted", strings.TrimSpace(y.Tag+" "+y.Value))}
	}
	return nil
}

// readJSON parses JSON, which is known to be valid. The YAML library does not
// know all of its escapes and would refuse its tabs.
func readJSON(doc []byte) (*node, error) {
	j := &jsonReader{d: json.NewDecoder(bytes.NewReader(doc)), doc: doc, line: 1}
	j.d.UseNumber()
	return j.value(0)
}

type jsonReader struct {
	d         *json.Decoder
	doc       []byte
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
	return t, &node{line: j.line, column: from - j.bol + 1}, err
}

func (j *jsonReader) value(depth int) (*node, error) {
	t, n, err := j.token()
	if err != nil {
		return nil, err
	}
	if j.count++; j.count > maxNodes || depth > maxDepth {
		return nil, &problem{n.line, n.column, fmt.Sprintf("the document has more than %d values or nests deeper than %d levels", maxNodes, maxDepth)}
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
		if err := n.add(key, value); err != nil {
			return nil, err
		}
	}
	_, _, err := j.token() // the closing one
	return n, err
}
