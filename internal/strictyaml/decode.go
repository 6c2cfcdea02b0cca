package strictyaml

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills one value and collects what does not fit.
type decoder struct {
	doc      *Document
	problems Problems
}

func (d *decoder) report(n *yaml.Node, path, message, hint string) {
	d.problems = append(d.problems, Problem{File: d.doc.file, Line: n.Line, Column: n.Column, Key: path, Message: message, Hint: hint})
}

// value decodes n into v. Its depth is bounded by the document's index.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	n = target(n)
	if isNull(n) {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, path, v.Elem())
		return
	}
	if v.Type() == sourceType {
		d.source(n, path, v)
		return
	}
	if n.Kind == yaml.ScalarNode {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if text, ok := d.expand(n, path); ok {
				if err := u.UnmarshalText([]byte(text)); err != nil {
					d.report(n, path, err.Error(), "")
				}
			}
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, path, v)
	case reflect.Map:
		d.mapping(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.Interface:
		if x, ok := d.any(n, path); ok {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, path, v)
	}
}

// field is one key that a struct understands.
type field struct {
	name  string
	index []int
	typ   reflect.Type
}

// fields lists the keys of a struct type, those of inline structs included.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case rest == "inline" && f.Type.Kind() == reflect.Struct:
			for _, in := range fields(f.Type) {
				in.index = append([]int{i}, in.index...)
				out = append(out, in)
			}
		case name != "" && name != "-" && f.IsExported():
			out = append(out, field{name: name, index: []int{i}, typ: f.Type})
		}
	}
	return out
}

// nested tells where a lone value belongs: under the key url, if that is the struct's first. Other values are
// not repeated; they may be secrets.
func nested(n *yaml.Node, t reflect.Type) string {
	known := fields(t)
	if n.Kind != yaml.ScalarNode || n.Value == "" || len(known) == 0 || known[0].name != "url" {
		return ""
	}
	return "write {url: " + n.Value + "}"
}

func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.report(n, path, "expected a mapping of keys to values, found "+kind(n), nested(n, v.Type()))
		return
	}
	known := fields(v.Type())
	byName := make(map[string]field, len(known))
	for _, f := range known {
		byName[f.name] = f
	}
	for key, val := range pairs(n) {
		f, ok := byName[key.Value]
		if !ok {
			d.report(key, join(path, key.Value), "unknown key", hint(key.Value, v.Type()))
			continue
		}
		d.value(val, join(path, key.Value), v.FieldByIndex(f.index))
	}
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.report(n, path, "expected a mapping of names to values, found "+kind(n), "")
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for key, val := range pairs(n) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(val, join(path, key.Value), elem)
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), elem)
	}
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.report(n, path, "expected a list, found "+kind(n), "write one item per line with a leading -, or [a, b]")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		if isNull(target(item)) {
			d.report(item, at, "the item is empty", "")
			continue
		}
		d.value(item, at, out.Index(i))
	}
	v.Set(out)
}

// any turns a node into maps, slices and scalars of the kinds that encoding/json uses, with int for whole
// numbers.
func (d *decoder) any(n *yaml.Node, path string) (any, bool) {
	n = target(n)
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, val := range pairs(n) {
			x, ok := d.any(val, join(path, key.Value))
			if !ok {
				return nil, false
			}
			m[key.Value] = x
		}
		return m, true
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, item := range n.Content {
			x, ok := d.any(item, path+"["+strconv.Itoa(i)+"]")
			if !ok {
				return nil, false
			}
			s[i] = x
		}
		return s, true
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool", "!!int", "!!float":
		var x any
		if err := n.Decode(&x); err == nil {
			return x, true
		}
	}
	return d.expand(n, path)
}

// pairs iterates over the keys of a mapping that index accepted: plain text, and the first of each name.
func pairs(n *yaml.Node) func(yield func(key, val *yaml.Node) bool) {
	return func(yield func(key, val *yaml.Node) bool) {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || seen[k.Value] {
				continue
			}
			seen[k.Value] = true
			if !yield(k, n.Content[i+1]) {
				return
			}
		}
	}
}
