package apisuite

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
)

// shownAs says where an answer shows what a request set, where that is not the field of the same name.
var shownAs = map[string]string{"vault_id": "vault", "ip_policy_id": "ip_policy", "ip_policy_ids": "ip_policies", "value": "", "private_key_pem": "", "certificate_id": "certificate"}

// once are the fields that only the answer to a creation shows.
var once = []string{"token"}

// shows requires that an object has what a request set.
func shows(t *testing.T, what string, o Object, set Fields) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		at, elsewhere := shownAs[name]
		if !elsewhere {
			at = name
		}
		if at == "" {
			continue
		}
		got := o[at]
		if elsewhere {
			got = ids(got)
		}
		if !alike(got, set[name]) {
			t.Errorf("%s: %s = %#v, want %#v", what, at, got, set[name])
		}
	}
}

// same requires that two answers show the same object, but for some fields.
func same(t *testing.T, what string, got, want Object, but ...string) {
	t.Helper()
	names := maps.Clone(got)
	maps.Copy(names, want)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(but, name) && !slices.Contains(once, name) && !alike(got[name], want[name]) {
			t.Errorf("%s: %s = %#v, want %#v as before", what, name, got[name], want[name])
		}
	}
}

// ids replaces references by their ids.
func ids(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return v["id"]
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = ids(item)
		}
		return list
	}
	return v
}

// alike reports whether two values are the same in JSON. All that is empty is alike: clients leave it out.
func alike(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

// plain returns a value as JSON knows it, nil if it is empty.
func plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var p any
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	switch p := p.(type) {
	case []any:
		if len(p) == 0 {
			return nil
		}
	case map[string]any:
		if len(p) == 0 {
			return nil
		}
	default:
		if p == nil || reflect.ValueOf(p).IsZero() {
			return nil
		}
	}
	return p
}
