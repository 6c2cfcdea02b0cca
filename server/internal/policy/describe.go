package policy

import (
	"reflect"
	"strings"
)

// SettingKind is what a setting of an action takes.
type SettingKind uint8

// The kinds of settings.
const (
	SettingText       SettingKind = iota // a text as it stands
	SettingTemplate                      // a text with ${…}
	SettingExpression                    // an expression
	SettingPattern                       // a regular expression, perhaps with ${…}
	SettingBool                          // true or false
	SettingInt                           // an integer
	SettingNumber                        // a number
	SettingDuration                      // a duration such as 90s
	SettingFields                        // a mapping from names to texts with ${…}
	SettingAny                           // any value, with ${…} in its texts
	SettingList                          // a list; one value stands for a list of one
	SettingMapping                       // a mapping with known keys
)

// Setting describes a setting of an action, for the manual and for editors.
type Setting struct {
	// Name is the key; Aliases are accepted with a warning.
	Name    string
	Aliases []string
	Kind    SettingKind
	// Required says that it has to be there.
	Required bool
	Doc      string
	// Default is what holds without it, nil if that is nothing: a string,
	// bool, int, float64 or time.Duration.
	Default any
	// Enum are the values of a text.
	Enum []string
	// Range bounds a number or duration, Count the entries of a list or of
	// fields, Length the characters of a text: from, to, both included and as
	// in the tags, empty for no bounds.
	Range, Count, Length [2]string
	// Of are the members of a mapping, or the one element of a list.
	Of []Setting
}

// Settings returns the settings of the action's configuration in their order.
// It is nil for an action that is not built yet.
func (d *Definition) Settings() []Setting {
	if !d.Built() {
		return nil
	}
	all := settings(d.config, d.preset)
	if d.OnError != "" {
		all = append(all, Setting{
			Name: "on_error", Kind: SettingText, Enum: []string{Halt, ContinueOn}, Default: d.OnError,
			Doc: "whether a failure ends the policy with an error, or is passed over",
		})
	}
	return all
}

func settings(t reflect.Type, preset reflect.Value) []Setting {
	var all []Setting
	for f := range t.Fields() {
		name, required := tagName(f)
		if name == "" {
			continue
		}
		s := setting(f.Type, f.Tag)
		s.Name, s.Required, s.Doc = name, required, f.Tag.Get("doc")
		if a := f.Tag.Get("alias"); a != "" {
			s.Aliases = strings.Split(a, ",")
		}
		if preset.IsValid() {
			s.Default = defaultOf(preset.FieldByIndex(f.Index))
		}
		all = append(all, s)
	}
	return all
}

// defaultOf returns a preset that is set, nil otherwise.
func defaultOf(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Float64, reflect.Bool:
		if !v.IsZero() {
			return v.Interface()
		}
	default:
	}
	return nil
}

func setting(t reflect.Type, tag reflect.StructTag) Setting {
	s := Setting{Range: pair(tag, "range"), Length: pair(tag, "length")}
	if e := tag.Get("enum"); e != "" {
		s.Enum = strings.Split(e, ",")
	}
	switch t {
	case templateType:
		s.Kind = SettingTemplate
	case valueType:
		s.Kind = SettingExpression
	case patternType:
		s.Kind = SettingPattern
	case fieldsType:
		s.Kind, s.Count = SettingFields, pair(tag, "count")
	case treeType:
		s.Kind = SettingAny
	case durationType:
		s.Kind = SettingDuration
	default:
		return plainSetting(s, t, tag)
	}
	return s
}

func plainSetting(s Setting, t reflect.Type, tag reflect.StructTag) Setting {
	switch t.Kind() {
	case reflect.Bool:
		s.Kind = SettingBool
	case reflect.Int:
		s.Kind = SettingInt
	case reflect.Float64:
		s.Kind = SettingNumber
	case reflect.Slice:
		element := setting(t.Elem(), tag)
		return Setting{Kind: SettingList, Count: pair(tag, "count"), Of: []Setting{element}}
	case reflect.Struct:
		s.Kind, s.Of = SettingMapping, settings(t, reflect.Value{})
	case reflect.Pointer:
		return setting(t.Elem(), tag)
	default:
		s.Kind = SettingText
	}
	return s
}

func pair(tag reflect.StructTag, key string) [2]string {
	low, high, _ := bounds(tag, key)
	return [2]string{low, high}
}
