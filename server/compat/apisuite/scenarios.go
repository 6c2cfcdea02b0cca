package apisuite

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// Collections lists every collection that the server has, on a fresh one.
func Collections(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	for _, r := range rows() {
		if _, err := w.Client.List(t, r.pkg, "List", Fields{}); err != nil {
			t.Errorf("%s: %v", r.pkg, err)
		}
	}
	w.judge(t)
}

// Pages reads 250 objects by pages of a hundred.
func Pages(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	for n := range 250 {
		w.Client.Must(t, "vaults", "Create", Fields{"name": fmt.Sprint("vault-", n)})
	}
	w.judge(t)
	r := &round{row: row{pkg: "vaults"}, World: w}
	ids := r.listed(t, "List", Fields{"limit": "100"})
	if seen := w.judge(t); len(ids) != 250 || len(seen) != 3 || !strings.Contains(string(seen[len(seen)-1].body), `"next_page_uri":null`) {
		t.Errorf("%d ids on %d pages; want 250 on 3, the last without a next one", len(ids), len(seen))
	}
}

// Growing makes objects while a client goes through a collection: they neither come twice nor hide older ones.
func Growing(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	other := w.Server.Open(mk)
	for n := range 7 {
		w.Client.Must(t, "vaults", "Create", Fields{"name": fmt.Sprint("vault-", n)})
	}
	pages := 0
	w.rec.after = func() {
		pages++
		other.Client.Must(t, "vaults", "Create", Fields{"name": fmt.Sprint("late-", pages)})
	}
	r := &round{row: row{pkg: "vaults"}, World: w}
	if ids := r.listed(t, "List", Fields{"limit": "2"}); len(ids) != 7 || pages != 4 { // they descend, so that none comes twice
		t.Errorf("%d ids on %d pages, want the 7 from the beginning on 4", len(ids), pages)
	}
}

// NoSuchPath asks for paths and methods that there are not.
func NoSuchPath(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	for _, tt := range []struct{ method, path string }{
		{"GET", "/nothing"}, {"PUT", "/vaults"}, {"POST", "/vaults/" + absent("vault")}, {"GET", "/vaults/" + absent("vault") + "/nothing"},
	} {
		err := w.Client.Do(t.Context(), tt.method, tt.path, nil, &map[string]any{})
		what := tt.method + " " + tt.path
		w.gone(t, what, err)
		if f, _ := w.Client.Failure(err); f.Code != "" || f.Msg != "Not Found" {
			t.Errorf("%s: code %q, msg %q; want none and Not Found", what, f.Code, f.Msg)
		}
	}
	w.judge(t)
}

// Refusals provokes errors of all classes, some of them in a proxy in front of the server.
func Refusals(t *testing.T, mk Make) {
	t.Helper()
	s := Start(t)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport: s.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Ngrok-Version")
		},
	})
	t.Cleanup(proxy.Close)
	key := *s
	key.Key = "nonsense"
	for _, tt := range []struct {
		name string
		w    *World
		code int
		set  Fields
	}{
		{"a value that is refused", s.Open(mk), 23000, Fields{"name": "a b"}},
		{"a text that is too long", s.Open(mk), 0, Fields{"name": "a", "metadata": strings.Repeat("x", 4097)}},
		{"a body that is too large", s.Open(mk), 812, Fields{"name": "a", "metadata": strings.Repeat("x", 1<<20)}},
		{"a key that is none", key.Open(mk), 202, Fields{"name": "a"}},
		{"a header that a proxy drops", s.OpenVia(mk, proxy.URL, http.DefaultTransport), 218, Fields{"name": "a"}},
	} {
		_, err := tt.w.Client.Call(t, "vaults", "Create", tt.set)
		tt.w.refused(t, tt.name, err, tt.code)
		tt.w.judge(t)
	}
}

// Proxied works behind a proxy with a name of its own: the URIs of answers are at that name.
func Proxied(t *testing.T, mk Make) {
	t.Helper()
	s := Start(t)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Transport: s.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	w := s.OpenVia(mk, proxy.URL, http.DefaultTransport)
	for n := range 3 {
		w.Client.Must(t, "vaults", "Create", Fields{"name": fmt.Sprint("vault-", n)})
	}
	items, err := w.Client.List(t, "vaults", "List", Fields{"limit": "1"})
	if err != nil || len(items) != 3 {
		t.Errorf("List = %d objects, %v; want 3", len(items), err)
	}
	w.judge(t) // it holds uri and next_page_uri to the name that the client used
}

// IDInBody sends an update that carries the id in its body, as the JavaScript client does.
func IDInBody(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	for _, r := range rows() {
		if r.change == nil {
			continue
		}
		id := w.Client.Must(t, r.pkg, "Create", r.make(t, w, 0)).Text("id")
		set := r.change(t, w)
		set["id"] = id
		var got map[string]any
		if err := w.Client.Do(t.Context(), http.MethodPatch, "/"+path(r.pkg)+"/"+id, set, &got); err != nil {
			t.Errorf("%s: %v", r.pkg, err)
			continue
		}
		delete(set, "id")
		shows(t, r.pkg, got, set)
	}
	w.judge(t)
}

// Restarts makes objects of all kinds and restarts the server: everything is as it was, and keys open what they opened.
func Restarts(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	var key string
	for _, r := range rows() {
		if r.make == nil {
			continue
		}
		for n := range 2 {
			if o := w.Client.Must(t, r.pkg, "Create", r.make(t, w, n)); r.pkg == "api_keys" {
				key = o.Text("token")
			}
		}
	}
	all := func() map[string][]Object {
		found := map[string][]Object{}
		for _, r := range rows() {
			items, err := w.Client.List(t, r.pkg, "List", Fields{})
			if err != nil {
				t.Errorf("%s: %v", r.pkg, err)
			}
			found[r.pkg] = items
		}
		return found
	}
	before := all()
	w.Server.node.Restart()
	after := all()
	for _, r := range rows() {
		if !reflect.DeepEqual(after[r.pkg], before[r.pkg]) {
			t.Errorf("%s behind the restart = %v, want %v", r.pkg, after[r.pkg], before[r.pkg])
		}
	}
	other := *w.Server
	other.Key = key
	if _, err := other.Open(mk).Client.List(t, "api_keys", "List", Fields{"limit": "1"}); err != nil {
		t.Errorf("a key from before the restart: %v", err)
	}
	w.judge(t)
}

// path is that of a package's collection.
func path(pkg string) string {
	if pkg == "secrets" {
		return "vault_secrets"
	}
	return pkg
}
