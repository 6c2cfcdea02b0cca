package apisuite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Rounds has a client do with every resource what can be done with it, and logs the table of outcomes.
func Rounds(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	b := &board{client: w.Client.Name}
	for _, r := range rows() {
		t.Run(r.pkg, func(t *testing.T) {
			b.line(r.pkg, (&round{row: r, World: w}).run(t))
		})
	}
	b.print(t)
}

// round is a round with one resource.
type round struct {
	row
	*World
	made []Object // as the creations answered, oldest first
}

// run goes round and returns the outcome of each step.
func (r *round) run(t *testing.T) map[string]string {
	t.Helper()
	outcomes := map[string]string{}
	does := map[string]func(*testing.T){
		"create": r.creates, "get": r.gets, "list": r.lists, "filter": r.filters, "update": r.updates, "empty": r.empties, "refuse": r.refuses, "delete": r.deletes,
	}
	if r.filter == nil || !r.Client.filters(t, r.pkg) {
		outcomes["filter"] = none
	}
	if r.texts == nil && r.list == "" {
		outcomes["empty"] = none
	}
	if r.refuse == nil {
		outcomes["refuse"] = none
	}
	if r.there != nil {
		outcomes["update"], outcomes["delete"] = none, none
	}
	for _, s := range steps {
		switch {
		case outcomes[s] == none:
		case s != "create" && outcomes["create"] == failed:
			outcomes[s] = blocked
		case t.Run(s, func(t *testing.T) { does[s](t); r.judge(t) }):
			outcomes[s] = passed
		default:
			outcomes[s] = failed
		}
	}
	return outcomes
}

// creates makes the objects, or finds them.
func (r *round) creates(t *testing.T) {
	if r.there != nil {
		r.made = r.there(t, r.World)
		return
	}
	for n := range cmp.Or(r.count, 5) {
		set := r.make(t, r.World, n)
		r.judge(t)
		o := r.Client.Must(t, r.pkg, "Create", set)
		seen := r.judge(t)
		if got := seen[0].status; got != http.StatusCreated {
			t.Errorf("Create: status %d, want 201", got)
		}
		if id := o.Text("id"); !strings.HasPrefix(id, r.prefix+"_") {
			t.Errorf("Create: id %q, want one with the prefix %s", id, r.prefix)
		}
		if got := o.Text("token") != ""; got != r.token {
			t.Errorf("Create: token there %t, want %t", got, r.token)
		}
		shows(t, "Create", o, set)
		r.made = append(r.made, o)
	}
}

func (r *round) id(n int) string { return r.made[n].Text("id") }

// gets reads the objects. Answers have the fields that the client knows, and no others.
func (r *round) gets(t *testing.T) {
	known := r.Client.names(t, r.pkg, "Get")
	if !slices.Contains(known, "uri") {
		known = append(known, "uri") // every object has one
	}
	slices.Sort(known)
	for i, o := range r.made {
		got := r.Client.Must(t, r.pkg, "Get", r.id(i))
		if seen := r.judge(t); i == 0 {
			var answer map[string]any
			_ = json.Unmarshal(seen[0].body, &answer) // the client has read it
			if sent := slices.Sorted(maps.Keys(answer)); !slices.Equal(sent, known) {
				t.Errorf("Get: fields %q, want %q", sent, known)
			}
		}
		if got.Text("token") != "" {
			t.Error("Get: the token is shown again")
		}
		same(t, "Get", got, o)
	}
	_, err := r.Client.Call(t, r.pkg, "Get", absent(r.prefix))
	r.gone(t, "Get of nothing", err)
}

// lists reads the collection by pages of two, and once from behind an object.
func (r *round) lists(t *testing.T) {
	all := r.listed(t, "List", Fields{"limit": "2"})
	var want []string
	for i := range r.made {
		want = append(want, r.id(i))
	}
	for _, id := range want {
		if !slices.Contains(all, id) {
			t.Errorf("List by two: %s is not among %q", id, all)
		}
	}
	if pages, want := len(r.judge(t)), (len(all)+1)/2; pages != want {
		t.Errorf("List by two: %d pages with %d objects, want %d", pages, len(all), want)
	}
	at := slices.Index(all, r.id(1))
	behind := r.listed(t, "List behind", Fields{"before_id": r.id(1)})
	if !slices.Equal(behind, all[at+1:]) {
		t.Errorf("List behind %s: %q, want the rest of %q", r.id(1), behind, all)
	}
}

// listed returns the ids of a collection and requires that they descend.
func (r *round) listed(t *testing.T, what string, paging Fields) []string {
	t.Helper()
	items, err := r.Client.List(t, r.pkg, "List", paging)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var ids []string
	for _, o := range items {
		ids = append(ids, o.Text("id"))
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] >= ids[i-1] {
			t.Errorf("%s: %s comes behind %s, want descending ids", what, ids[i], ids[i-1])
		}
	}
	return ids
}

// filters lists by each field that a filter knows, and by one that it does not.
func (r *round) filters(t *testing.T) {
	o := r.Client.Must(t, r.pkg, "Get", r.id(0))
	for _, field := range r.filter {
		filter := matching(o, field)
		ids := r.listed(t, filter, Fields{"filter": filter, "limit": "2"})
		if !slices.Contains(ids, r.id(0)) || field == "id" && len(ids) != 1 {
			t.Errorf("%s: %q, want what has %s", filter, ids, r.id(0))
		}
	}
	_, err := r.Client.List(t, r.pkg, "List", Fields{"filter": `obj.nonsense == "x"`})
	r.refused(t, "filter by an unknown field", err, 250)
}

// matching returns a filter by a field that an object passes.
func matching(o Object, field string) string {
	name, part, _ := strings.Cut(field, ".")
	v := o[name]
	if m, ok := v.(map[string]any); ok {
		v = m["id"]
	}
	switch v := v.(type) {
	case bool, float64:
		return fmt.Sprintf("obj.%s == %v", field, v)
	case []any:
		return fmt.Sprintf("%q in obj.%s", v[0], field)
	case string:
		if strings.HasSuffix(name, "_at") {
			return fmt.Sprintf("obj.%s <= timestamp(%q)", field, v)
		}
		return fmt.Sprintf("obj.%s == %q", field, v)
	}
	if part != "" {
		return fmt.Sprintf("obj.%s == null", name)
	}
	return fmt.Sprintf("obj.%s == null || obj.%s == \"\"", field, field)
}

// updates changes nothing, then each field alone, then all.
func (r *round) updates(t *testing.T) {
	before := r.Client.Must(t, r.pkg, "Get", r.id(0))
	after, err := r.Client.Call(t, r.pkg, "Update", Fields{"id": r.id(0)})
	switch {
	case r.nothing != 0:
		r.refused(t, "Update of nothing", err, r.nothing)
	case err != nil:
		t.Errorf("Update of nothing: %v", err)
	default:
		same(t, "Update of nothing", after, before)
	}
	all := r.change(t, r.World)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r.updated(t, Fields{name: all[name]})
	}
	was := r.make(t, r.World, 0)
	for name := range was {
		if _, ok := all[name]; !ok {
			delete(was, name)
		}
	}
	r.updated(t, was) // all at once, back to what it was
}

// updated changes an object and requires that this changes, and nothing else.
func (r *round) updated(t *testing.T, set Fields) Object {
	t.Helper()
	before := r.Client.Must(t, r.pkg, "Get", r.id(0))
	body := maps.Clone(set)
	body["id"] = r.id(0)
	after, err := r.Client.Call(t, r.pkg, "Update", body)
	if err != nil {
		t.Errorf("Update of %v: %v", set, err)
		return before
	}
	what := fmt.Sprintf("Update of %v", set)
	shows(t, what, after, set)
	same(t, what, after, before, follows(set)...)
	same(t, "Get behind it", r.Client.Must(t, r.pkg, "Get", r.id(0)), after)
	return after
}

// follows are the fields of answers that change when some are set.
func follows(set Fields) []string {
	fields := []string{"updated_at", "last_updated_by"}
	for name := range set {
		fields = append(fields, name, shownAs[name])
	}
	if _, ok := set["url"]; ok {
		fields = append(fields, "public_url", "proto", "scheme", "host", "port", "hostport", "domain")
	}
	return fields
}

// empties sets texts and a list to nothing.
func (r *round) empties(t *testing.T) {
	for _, name := range r.texts {
		r.updated(t, Fields{name: "something"})
		if after := r.updated(t, Fields{name: ""}); after.Text(name) != "" {
			t.Errorf("%s = %q, want nothing", name, after[name])
		}
	}
	if r.list == "" {
		return
	}
	r.updated(t, Fields{r.list: r.change(t, r.World)[r.list]})
	before := r.Client.Must(t, r.pkg, "Get", r.id(0))
	body := Fields{"id": r.id(0), r.list: []string{}}
	if r.texts != nil {
		body["description"] = "beside an empty list"
	}
	after, err := r.Client.Call(t, r.pkg, "Update", body)
	at := r.list
	if elsewhere := shownAs[at]; elsewhere != "" {
		at = elsewhere
	}
	switch {
	case r.Client.EmptyLists && r.emptyList != 0:
		r.refused(t, "Update to an empty list", err, r.emptyList)
	case err != nil:
		t.Errorf("Update to an empty list: %v", err)
	case r.Client.EmptyLists && !alike(after[at], nil):
		t.Errorf("Update to an empty list: %s = %v, want none", at, after[at])
	case !r.Client.EmptyLists && !alike(after[at], before[at]):
		t.Errorf("Update to an empty list that the client does not send: %s = %v, want %v", at, after[at], before[at])
	}
}

// refuses tries creations that are refused.
func (r *round) refuses(t *testing.T) {
	for _, bad := range r.refuse(t, r.World) {
		_, err := r.Client.Call(t, r.pkg, "Create", bad.set)
		r.refused(t, fmt.Sprintf("Create(%v)", bad.set), err, bad.code)
	}
}

// deletes removes the objects, and finds them no more. A list goes on behind what is gone.
func (r *round) deletes(t *testing.T) {
	all := r.listed(t, "List", Fields{})
	at := slices.Index(all, r.id(1))
	for i := range r.made {
		r.judge(t)
		if _, err := r.Client.Call(t, r.pkg, "Delete", r.id(i)); err != nil {
			t.Errorf("Delete: %v", err)
			continue
		}
		if seen := r.judge(t); seen[0].status != http.StatusNoContent {
			t.Errorf("Delete: status %d, want 204", seen[0].status)
		}
		_, err := r.Client.Call(t, r.pkg, "Delete", r.id(i))
		r.gone(t, "second Delete", err)
		_, err = r.Client.Call(t, r.pkg, "Get", r.id(i))
		r.gone(t, "Get of what is gone", err)
		if i == 1 {
			if behind := r.listed(t, "List behind what is gone", Fields{"before_id": r.id(1)}); len(behind) != len(all[at+1:])-1 {
				t.Errorf("List behind what is gone: %d objects, want %d", len(behind), len(all[at+1:])-1)
			}
		}
	}
	if left := r.listed(t, "List", Fields{}); len(left) != len(all)-len(r.made) {
		t.Errorf("%d objects are left, want %d", len(left), len(all)-len(r.made))
	}
}
