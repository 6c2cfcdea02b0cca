package apisuite

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Methods calls every method of every package of a client, with ids of nothing and empty bodies, and requires that
// the server knows the request and that the client can read the answer (api.md 7.3). Missing names the packages, or
// PACKAGE.Method, that the server does not know yet; what it does know must not be among them.
func Methods(t *testing.T, mk Make, missing []string) {
	t.Helper()
	w := Start(t).Open(mk)
	known, unknown := 0, 0
	for _, pkg := range slices.Sorted(maps.Keys(w.Client.Packages)) {
		p := reflect.ValueOf(w.Client.Packages[pkg])
		for i := range p.NumMethod() {
			name := pkg + "." + p.Type().Method(i).Name
			err := w.callAny(t, p.Method(i), pkg)
			seen := w.judge(t)
			if len(seen) != 1 {
				t.Errorf("%s: %d requests, error %v; want one request", name, len(seen), err)
				continue
			}
			if f, ok := w.Client.Failure(err); err != nil && (!ok || f.Details["unmarshal_error"] != "") {
				t.Errorf("%s: the client cannot read the answer: %v", name, err)
			}
			listed := slices.Contains(missing, pkg) || slices.Contains(missing, name)
			switch routes := seen[0].routed(); {
			case routes && listed:
				t.Errorf("%s: the server knows %s %s: take it off the list of what is missing", name, seen[0].method, seen[0].url.Path)
			case !routes && !listed:
				t.Errorf("%s: the server does not know %s %s", name, seen[0].method, seen[0].url.Path)
			case routes:
				known++
			default:
				unknown++
			}
		}
	}
	t.Logf("%s: the server knows %d of %d methods", w.Client.Name, known, known+unknown)
}

// routed reports whether a request was more than a wrong path (api.md 1.7).
func (e *exchange) routed() bool {
	if e.status != http.StatusNotFound {
		return true
	}
	var answer struct{ Details map[string]string }
	_ = json.Unmarshal(e.body, &answer) // judge has said so
	return answer.Details["path"] == ""
}

// prefixes are those of ids, by package, where they are not of the rows.
var prefixes = map[string]string{"tunnel_sessions": "ts", "tunnels": "tn", "tls_certificates": "cert", "certificate_authorities": "ca"}

func prefix(pkg string) string {
	for _, r := range rows() {
		if r.pkg == pkg {
			return r.prefix
		}
	}
	if p, ok := prefixes[pkg]; ok {
		return p
	}
	return "x"
}

// callAny calls a method with arguments of the types that it wants.
func (w *World) callAny(t *testing.T, m reflect.Value, pkg string) error {
	t.Helper()
	id := absent(prefix(pkg))
	var in []reflect.Value
	for i := range m.Type().NumIn() {
		switch typ := m.Type().In(i); {
		case typ == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(t.Context()))
		case typ.Kind() == reflect.String:
			in = append(in, reflect.ValueOf(id))
		default:
			v := reflect.New(typ.Elem())
			for j := range v.Elem().NumField() {
				if f := v.Elem().Field(j); f.Kind() == reflect.String && strings.HasSuffix(typ.Elem().Field(j).Name, "ID") {
					f.SetString(id)
				}
			}
			in = append(in, v)
		}
	}
	out := m.Call(in)
	last := out[len(out)-1]
	if err, ok := last.Interface().(error); ok || last.Type() == reflect.TypeFor[error]() {
		return err
	}
	_, err := read(t, last.Elem())
	return err
}
