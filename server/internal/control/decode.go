package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
)

// maxDepth is how deep the body of a request may be nested (reliability-security.md 3.5, T66).
const maxDepth = 64

// decodeBody judges the body of a request by the fields of its resource and returns what it sets, as an
// object: null and what means absent are left out (api.md 1.3). Errors are *fault.Error.
func decodeBody(fields []api.Field, body []byte, create bool) (map[string]json.RawMessage, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := checkJSON(body); err != nil {
		return nil, fault.Wrap(err, fault.BodyUnparsable, err)
	}
	return decodeObject("", fields, body, create)
}

// checkJSON judges the form: one value, not too deep, in UTF-8, no name twice in an object.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var names []map[string]bool // of the objects that are open; nil for lists
	key := false                // whether the next text is a name
	for {
		t, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && len(names) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		text, isText := t.(string)
		switch {
		case t == json.Delim('{'):
			names, key = append(names, map[string]bool{}), true
		case t == json.Delim('['):
			names, key = append(names, nil), false
		case t == json.Delim('}'), t == json.Delim(']'):
			names = names[:len(names)-1]
			key = len(names) > 0 && names[len(names)-1] != nil
		case isText && key:
			open := names[len(names)-1]
			if open[text] {
				return fmt.Errorf("the name %q stands there twice", text)
			}
			open[text], key = true, false
		default:
			key = len(names) > 0 && names[len(names)-1] != nil
		}
		if len(names) > maxDepth {
			return fmt.Errorf("it is nested more than %d deep", maxDepth)
		}
	}
}

// decodeObject judges an object. within is the path of its field, "" for the body itself.
func decodeObject(within string, fields []api.Field, raw json.RawMessage, create bool) (map[string]json.RawMessage, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil || given == nil {
		if within == "" {
			return nil, fault.Wrap(err, fault.BodyUnparsable, "it is no object")
		}
		return nil, fault.New(fault.FieldInvalid, within, "it is no object")
	}
	if err := checkNames(within, fields, given, create); err != nil {
		return nil, err
	}
	set := map[string]json.RawMessage{}
	for i := range fields {
		f := &fields[i]
		use := useOf(f, create)
		if use == api.Never || use == api.Ignored {
			continue
		}
		value, present := given[f.Name]
		if string(value) == "null" || create && (f.Ref != "" || f.Enum != nil) && string(value) == `""` {
			present = false
		}
		empty := string(value) == `""` || string(value) == "[]"
		if create && use == api.Required && (!present || empty) || present && empty && f.Missing != "" {
			return nil, missing(within, f)
		}
		if !present {
			continue
		}
		value, err := decodeValue(within+f.Name, f, value, create)
		if err != nil {
			return nil, err
		}
		set[f.Name] = value
	}
	return set, nil
}

// checkNames refuses fields that cannot be given. It comes before what is missing, which may be there with a slip in
// its name.
func checkNames(within string, fields []api.Field, given map[string]json.RawMessage, create bool) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		known := slices.ContainsFunc(fields, func(f api.Field) bool { return f.Name == name && useOf(&f, create) != api.Never })
		if !known && (within != "" || create || name != "id") { // some clients send it with updates (api.md 1.3)
			return fault.New(fault.FieldUnknown, within+name, usable(fields, create))
		}
	}
	return nil
}

func useOf(f *api.Field, create bool) api.Use {
	if create {
		return f.Create
	}
	return f.Update
}

func missing(within string, f *api.Field) error {
	if f.Missing != "" {
		return fault.New(f.Missing, within+f.Name)
	}
	return fault.New(fault.FieldInvalid, within+f.Name, "it is required")
}

// usable lists the fields that a request may have.
func usable(fields []api.Field, create bool) string {
	var names []string
	for _, f := range fields {
		if use := useOf(&f, create); use == api.Optional || use == api.Required {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}

// decodeValue judges one value and returns it as it is to be decoded.
func decodeValue(path string, f *api.Field, raw json.RawMessage, create bool) (json.RawMessage, error) {
	invalid := func(why string) error {
		if f.Invalid != "" {
			return fault.New(f.Invalid, path, why)
		}
		return fault.New(fault.FieldInvalid, path, why)
	}
	switch f.Type {
	case api.String:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return nil, invalid("it is no text")
		}
		return raw, decodeText(path, f, text, invalid)
	case api.Bool:
		var b bool
		if json.Unmarshal(raw, &b) != nil {
			return nil, invalid("it is neither true nor false")
		}
	case api.Number:
		var n int64
		if json.Unmarshal(raw, &n) != nil {
			return nil, invalid("it is no integer")
		}
	case api.Time:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return nil, invalid("it is no text")
		}
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return nil, invalid("it is no time in RFC 3339, like 2026-05-01T12:00:00Z")
		}
	case api.Strings:
		var list []string
		if json.Unmarshal(raw, &list) != nil {
			return nil, invalid("it is no list of texts")
		}
		for _, text := range list {
			if err := decodeText(path, f, text, invalid); err != nil {
				return nil, err
			}
		}
	case api.Map:
		var m map[string]string
		if json.Unmarshal(raw, &m) != nil {
			return nil, invalid("it is no object of texts")
		}
	case api.Object:
		set, err := decodeObject(path+".", f.Fields, raw, create)
		if err != nil {
			return nil, err
		}
		return json.Marshal(set)
	case api.Objects:
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return nil, invalid("it is no list")
		}
		out := make([]map[string]json.RawMessage, len(list))
		for i, item := range list {
			set, err := decodeObject(fmt.Sprintf("%s[%d].", path, i), f.Fields, item, true)
			if err != nil {
				return nil, err
			}
			out[i] = set
		}
		return json.Marshal(out)
	case api.RefType, api.Refs:
		return nil, invalid("it cannot be given")
	}
	return raw, nil
}

func decodeText(path string, f *api.Field, text string, invalid func(string) error) error {
	switch {
	case strings.IndexByte(text, 0) >= 0: // databases keep no key with it
		return invalid("it holds the character NUL")
	case f.Max > 0 && len(text) > f.Max && f.TooLong != "":
		return fault.New(f.TooLong, path)
	case f.Max > 0 && len(text) > f.Max:
		return invalid(fmt.Sprintf("it has %d bytes, and at most %d are allowed", len(text), f.Max))
	case f.Enum != nil && !slices.Contains(f.Enum, text):
		return invalid("it is one of " + strings.Join(f.Enum, ", "))
	case f.Ref == "" || text == "":
		return nil
	}
	prefix, suffix, ok := strings.Cut(text, "_")
	if !ok || !id.IsSorted(prefix, prefix+"_"+suffix) {
		return fault.New(fault.ReferenceInvalid, path, text)
	}
	if prefix != f.Ref {
		return fault.New(fault.ReferenceKind, text, f.Ref)
	}
	return nil
}
