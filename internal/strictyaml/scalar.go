package strictyaml

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var durationType = reflect.TypeFor[time.Duration]()

// scalar decodes text, booleans, numbers and durations.
func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.report(n, path, "expected "+expected(v.Type())+", found "+kind(n), "")
		return
	}
	tag := n.ShortTag()
	switch k := v.Kind(); {
	case v.Type() == durationType:
		d.duration(n, path, v)
	case k == reflect.String:
		if tag == "!!bool" {
			d.report(n, path, "expected text, found "+kind(n), "write it in quotes if it is meant as text")
			return
		}
		if text, ok := d.expand(n, path); ok {
			v.SetString(text)
		}
	case k == reflect.Bool && tag == "!!bool",
		isInt(k) && tag == "!!int",
		isFloat(k) && (tag == "!!int" || tag == "!!float"):
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.report(n, path, fmt.Sprintf("the number %s is too large or too small", n.Value), "")
		}
	case k == reflect.Bool:
		h := ""
		if w := strings.ToLower(n.Value); w == "yes" || w == "no" || w == "on" || w == "off" {
			h = "write true or false"
		}
		d.report(n, path, "expected "+expected(v.Type())+", found "+kind(n), h)
	case isInt(k), isFloat(k):
		h := ""
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			h = "leave the quotes out"
		}
		d.report(n, path, "expected "+expected(v.Type())+", found "+kind(n), h)
	default:
		panic("strictyaml: fields of type " + v.Type().String() + " are not supported")
	}
}

func (d *decoder) duration(n *yaml.Node, path string, v reflect.Value) {
	text, ok := d.expand(n, path)
	if !ok {
		return
	}
	x, err := time.ParseDuration(text)
	if err != nil {
		d.report(n, path, fmt.Sprintf("%q is not a duration", text), "write a number with its unit: 500ms, 10s, 2m")
		return
	}
	v.SetInt(int64(x))
}

func isInt(k reflect.Kind) bool   { return k >= reflect.Int && k <= reflect.Uint64 }
func isFloat(k reflect.Kind) bool { return k == reflect.Float32 || k == reflect.Float64 }

// expected names what a field wants.
func expected(t reflect.Type) string {
	switch k := t.Kind(); {
	case t == durationType:
		return "a duration"
	case k == reflect.Bool:
		return "true or false"
	case isInt(k):
		return "a whole number"
	case isFloat(k):
		return "a number"
	default:
		return "text"
	}
}

// kind names what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	}
	return fmt.Sprintf("the text %q", shorten(n.Value))
}

func shorten(s string) string {
	const limit = 40
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}
