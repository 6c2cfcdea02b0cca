package filter

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
)

// class is what a field can be compared with.
type class int

const (
	word   class = iota // a text, or the id of a reference
	count               // a number
	flag                // true or false
	moment              // a time
	list                // a list of texts, or of ids of references
)

// String returns the class as messages name it.
func (c class) String() string {
	return [...]string{"a text", "a number", "true or false", "a time", "a list"}[c]
}

// field is a field of the objects.
type field struct {
	// name is as the filter spells it, call the call behind it or "".
	name, call string
	class      class
	// typ is the type of object that path was found in; path are the steps to the field there.
	typ  reflect.Type
	path [][]int
}

// String returns the field as a filter has it.
func (f *field) String() string { return "obj." + f.name }

// spellings are other names of fields (api.md 1.6).
var spellings = map[string]string{"binding": "bindings"}

// resolve judges the name and finds out the class.
func (f *field) resolve(r *api.Resource) error {
	name := f.name
	if other := spellings[name]; other != "" {
		name = other
	}
	if !slices.Contains(r.Filter, name) {
		return fmt.Errorf("%s is no field of this filter; the fields are obj.%s", f, strings.Join(r.Filter, ", obj."))
	}
	first, nested, _ := strings.Cut(name, ".")
	switch first {
	case "id", "uri":
	case "created_at":
		f.class = moment
	default:
		f.class = classOf(r.Fields, first, nested)
	}
	return nil
}

// classOf returns the class of a field of a table.
func classOf(fields []api.Field, first, nested string) class {
	i := slices.IndexFunc(fields, func(f api.Field) bool { return f.Name == first })
	if i < 0 {
		return word
	}
	switch fields[i].Type {
	case api.Bool:
		return flag
	case api.Number:
		return count
	case api.Time:
		return moment
	case api.Strings, api.Refs, api.Objects:
		return list
	case api.Object:
		first, nested, _ := strings.Cut(nested, ".")
		return classOf(fields[i].Fields, first, nested)
	case api.String, api.RefType, api.Map:
	}
	return word
}

// entropic reports whether only whole values of the field mean something (api.md 1.6).
func (f *field) entropic() bool {
	switch f.name {
	case "id", "owner_id", "serial_number", "ip_policy", "credential":
		return true
	}
	return strings.HasSuffix(f.name, ".id")
}

// of returns the field's value in an object: a string, float64, bool, time.Time or []string, or nil for none.
func (f *field) of(object any) any {
	v := reflect.Indirect(reflect.ValueOf(object))
	if !v.IsValid() {
		return nil
	}
	if v.Type() != f.typ {
		f.typ, f.path = v.Type(), steps(v.Type(), f.name)
	}
	if f.path == nil {
		return nil
	}
	for _, step := range f.path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return nil
			}
			v = v.Elem()
		}
		v = v.FieldByIndex(step)
	}
	return plain(v)
}

// steps returns the way to a field of a struct by its JSON names, nil if there is none.
func steps(t reflect.Type, name string) (path [][]int) {
	if other := spellings[name]; other != "" {
		name = other
	}
	for step := range strings.SplitSeq(name, ".") {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil
		}
		fields := reflect.VisibleFields(t)
		i := slices.IndexFunc(fields, func(f reflect.StructField) bool {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return tag == step && f.IsExported()
		})
		if i < 0 {
			return nil
		}
		path, t = append(path, fields[i].Index), fields[i].Type
	}
	return path
}

// plain turns a value of an answer into what comparisons take.
func plain(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return nil
		}
		return x
	case api.Ref:
		return x.ID
	case []api.Ref:
		ids := make([]string, len(x))
		for i := range x {
			ids[i] = x[i].ID
		}
		return ids
	case []string:
		return x
	}
	switch v.Kind() { //nolint:exhaustive // answers have no others
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(v.Uint())
	}
	return nil
}
