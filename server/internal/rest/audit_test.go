package rest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
	"github.com/culvert-project/culvert/server/internal/store"
)

// record returns the record of changes of a server, the oldest first.
func record(t *testing.T, s *nodetest.Server) (all []*store.Object[control.AuditEvent]) {
	t.Helper()
	db, err := node.OpenDatabase(t.Context(), node.Config{DataDir: s.Info.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was read
	_, err = db.View(t.Context(), func(tx store.Tx) error {
		for o, err := range control.AuditTrail(tx, control.AuditQuery{Limit: 1000}) {
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// Scenario 43 of api.md 8: each write is on record once, with the object as the API shows it, and what failed is not.
func TestAPI43_A1_OneEntryForEachWrite(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	known := len(record(t, s))
	// entry is the one entry since the last call.
	entry := func(what string) *control.AuditEvent {
		t.Helper()
		all := record(t, s)
		fresh := all[known:]
		known = len(all)
		if len(fresh) != 1 {
			t.Fatalf("%s: %d entries, want one", what, len(fresh))
		}
		if d := &fresh[0].Doc; d.Principal != "" && d.Credential != "" && d.Address != "" {
			return d
		}
		t.Errorf("%s: %+v does not say who did it", what, fresh[0].Doc)
		return &fresh[0].Doc
	}
	ids := made(t, a)
	known = len(record(t, s)) - (len(ids) - 1) // one of them has two names
	for i, o := range record(t, s)[known:] {
		if !strings.HasSuffix(o.Doc.Type, "_created.v0") || len(o.Doc.Before) != 0 || len(o.Doc.After) == 0 {
			t.Errorf("entry %d is %+v, want one of what was made", i, o.Doc)
		}
	}
	known += len(ids) - 1
	for _, r := range api.All() {
		path := r.Path + "/" + ids[r.Path]
		if ids[r.Path] == "" || !slices.ContainsFunc(r.Fields, func(f api.Field) bool { return f.Name == "description" && f.Usable(false) }) {
			continue
		}
		before := a.Must(http.StatusOK, http.MethodGet, path, "")
		after := a.Must(http.StatusOK, http.MethodPatch, path, `{"description":"changed"}`)
		e := entry("PATCH " + path)
		same(t, path+" before", e.Before, before)
		same(t, path+" after", e.After, after)
		if status, _, _ := a.Do(http.MethodPatch, path, `{"descriptoin":"x"}`); status != http.StatusBadRequest {
			t.Errorf("PATCH %s with an unknown field = %d", path, status)
		}
		if status, _, _ := a.Do(http.MethodPatch, r.Path+"/"+r.Prefix+"_2b8xWJq9kqN1cKQ7yC6mV0tUe1D", `{"description":"x"}`); status != http.StatusNotFound {
			t.Errorf("PATCH of nothing in %s = %d", r.Path, status)
		}
	}
	if n := len(record(t, s)); n != known {
		t.Errorf("%d entries of writes that failed", n-known)
	}
	a.Must(http.StatusNoContent, http.MethodDelete, "/ip_restrictions/"+ids["/ip_restrictions"], "")
	if e := entry("DELETE"); len(e.After) != 0 || len(e.Before) == 0 || e.Type != "ip_restriction_deleted.v0" {
		t.Errorf("the entry of a deletion is %+v", e)
	}
}

// same wants the fields of an object in an entry as the API shows them: an entry has no more, and lacks secrets and
// URIs at most.
func same(t *testing.T, what string, raw json.RawMessage, shown map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Errorf("%s: %v in %s", what, err, raw)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if name != "uri" && !reflect.DeepEqual(withoutURIs(got[name]), withoutURIs(shown[name])) {
			t.Errorf("%s: %s is %v in the record and %v in the answer", what, name, got[name], shown[name])
		}
	}
	for name := range got {
		if _, ok := shown[name]; !ok {
			t.Errorf("%s: the record has %s, which the answer has not", what, name)
		}
	}
}

func withoutURIs(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, x := range v {
			if name != "uri" {
				out[name] = withoutURIs(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = withoutURIs(x)
		}
		return out
	}
	return v
}
