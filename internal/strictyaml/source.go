package strictyaml

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Source is a value kept as text: a string as it is, and a mapping or list as YAML of its own, in the order
// of the file, with aliases written out and ${env:NAME} replaced.
type Source string

var sourceType = reflect.TypeFor[Source]()

// source decodes n into a Source.
func (d *decoder) source(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.ScalarNode {
		if text, ok := d.expand(n, path); ok {
			v.SetString(text)
		}
		return
	}
	whole, ok := d.copied(n, path)
	if !ok {
		return
	}
	text, err := yaml.Marshal(whole)
	if err != nil {
		d.report(n, path, err.Error(), "")
		return
	}
	v.SetString(string(text))
}

// copied returns n without aliases and references to variables. Its size is bounded by the document's index.
func (d *decoder) copied(n *yaml.Node, path string) (*yaml.Node, bool) {
	n = target(n)
	out := *n
	out.Anchor, out.Content = "", nil
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		text, ok := d.expand(n, path)
		if text != n.Value {
			out.SetString(text)
		}
		return &out, ok
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			out.Content = append(out.Content, c)
			continue
		}
		item, ok := d.copied(c, path)
		if !ok {
			return nil, false
		}
		out.Content = append(out.Content, item)
	}
	return &out, true
}
