package cli

import (
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// maxValue bounds a file that holds a value: a request has no room for more.
const maxValue = 1 << 20

// bodyFlags are the flags of a command that become the body of its request.
type bodyFlags struct {
	set    *pflag.FlagSet
	values []bodyValue
}

// bodyValue is a flag that becomes a field.
type bodyValue struct {
	flag  string
	path  []string // of the field in the body
	field *api.Field
	file  bool // the flag names a file with the value
}

// newBodyFlags makes flags of the fields that a request may have.
func newBodyFlags(cmd *cobra.Command, fields []api.Field, create bool) *bodyFlags {
	b := &bodyFlags{set: cmd.Flags()}
	b.add(cmd, nil, fields, create)
	return b
}

func (b *bodyFlags) add(cmd *cobra.Command, within []string, fields []api.Field, create bool) {
	for i := range fields {
		f := &fields[i]
		if !f.Usable(create) {
			continue
		}
		path := append(within[:len(within):len(within)], f.Name)
		if f.Type == api.Object {
			b.add(cmd, path, f.Fields, create)
			continue
		}
		name := api.Hyphens(strings.Join(path, "."))
		doc := f.Doc
		if create && f.Create == api.Required {
			doc += " (required)"
		}
		b.values = append(b.values, bodyValue{flag: name, path: path, field: f})
		switch f.Type {
		case api.Bool:
			b.set.Bool(name, false, doc)
		case api.Number:
			b.set.Int64(name, 0, doc)
		case api.Strings:
			b.set.StringSlice(name, nil, doc+"; repeatable")
		case api.Objects:
			b.set.StringArray(name, nil, doc+objectsDoc(f))
		case api.Map:
			b.set.StringToString(name, nil, doc+"; KEY=VALUE, repeatable")
		case api.String, api.Time, api.Object, api.RefType, api.Refs:
			b.set.String(name, "", doc)
			values(cmd, name, f.Enum...)
		}
		if f.Long() {
			b.values = append(b.values, bodyValue{flag: name + "-file", path: path, field: f, file: true})
			doc := "`FILE` with the " + strings.ReplaceAll(f.Name, "_", " ") + "; - is standard input"
			if name+"-file" == secretFile {
				doc += "; one line break at its end is left out"
			}
			b.set.String(name+"-file", "", doc)
			cmd.MarkFlagsMutuallyExclusive(name, name+"-file")
		}
	}
}

func objectsDoc(f *api.Field) string {
	if len(f.Fields) == 1 {
		return "; repeatable"
	}
	return "; a JSON object, repeatable"
}

// read returns the body that the flags given make, nil if there is none.
func (b *bodyFlags) read(stdin io.Reader) (any, error) {
	body := map[string]any{}
	for _, v := range b.values {
		if !b.set.Changed(v.flag) {
			continue
		}
		value, err := b.value(v, stdin)
		if err != nil {
			return nil, err
		}
		into := body
		for _, step := range v.path[:len(v.path)-1] {
			inner, ok := into[step].(map[string]any)
			if !ok {
				inner = map[string]any{}
				into[step] = inner
			}
			into = inner
		}
		into[v.path[len(v.path)-1]] = value
	}
	if len(body) == 0 {
		return nil, nil //nolint:nilnil // no flags, no body
	}
	return body, nil
}

func (b *bodyFlags) value(v bodyValue, stdin io.Reader) (any, error) {
	switch v.field.Type {
	case api.Bool:
		return b.set.GetBool(v.flag)
	case api.Number:
		return b.set.GetInt64(v.flag)
	case api.Strings:
		list, err := b.set.GetStringSlice(v.flag)
		if list == nil {
			list = []string{}
		}
		return list, err
	case api.Objects:
		list, err := b.set.GetStringArray(v.flag)
		if err != nil {
			return nil, err
		}
		return objects(v, list)
	case api.Map:
		return b.set.GetStringToString(v.flag)
	case api.String, api.Time, api.Object, api.RefType, api.Refs:
	}
	text, err := b.set.GetString(v.flag)
	if err != nil || !v.file {
		return text, err
	}
	return readValue(v.flag, text, stdin)
}

// objects reads a list of objects: JSON each or, of objects with one field, that field's value.
func objects(v bodyValue, list []string) (any, error) {
	items := []any{}
	for _, text := range list {
		var item map[string]any
		switch err := json.Unmarshal([]byte(text), &item); {
		case text == "":
			continue // an empty list
		case err == nil:
			items = append(items, item)
		case len(v.field.Fields) == 1:
			items = append(items, map[string]any{v.field.Fields[0].Name: text})
		default:
			return nil, fault.New(fault.ValueInvalid, text, "--"+v.flag, "it is no JSON object")
		}
	}
	return items, nil
}

// secretFile is the flag of a file with a secret. One line break at its end is none of the secret: editors and echo
// add it.
const secretFile = "value-file"

// readValue reads a value from a file, or from standard input.
func readValue(flag, path string, stdin io.Reader) (string, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fault.Wrap(err, fault.ValueInvalid, path, "--"+flag, "it cannot be read: "+err.Error())
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxValue+1))
	switch {
	case err != nil:
		return "", fault.Wrap(err, fault.ValueInvalid, path, "--"+flag, "it cannot be read: "+err.Error())
	case len(text) > maxValue:
		return "", fault.New(fault.ValueInvalid, path, "--"+flag, "it is larger than 1 MiB")
	}
	if value, ok := strings.CutSuffix(string(text), "\n"); ok && flag == secretFile {
		return strings.TrimSuffix(value, "\r"), nil
	}
	return string(text), nil
}
