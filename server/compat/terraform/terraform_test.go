package terraform_test

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/compat/apisuite"
	"github.com/culvert-project/culvert/server/compat/apiv9"
)

// run is Terraform at work: resources, their ids by name, and what it knows of them.
type run struct {
	*apisuite.World
	all   []resource
	ids   map[string]string
	state map[string]apisuite.Object
}

func newRun(t *testing.T) *run {
	t.Helper()
	s := apisuite.Start(t)
	return &run{World: s.Open(apiv9.New), all: resources(t, s.Domain), ids: map[string]string{}, state: map[string]apisuite.Object{}}
}

// TestAPI15_ApplyPlanChangeImportDestroy: an apply, a plan without changes, one change of each resource, a plan without
// changes, an import of each, and the end of all.
func TestAPI15_ApplyPlanChangeImportDestroy(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	for i := range r.all {
		r.create(t, &r.all[i])
	}
	r.plan(t)
	for i := range r.all {
		r.update(t, &r.all[i])
	}
	r.plan(t)
	for i := range r.all {
		r.imported(t, &r.all[i])
	}
	for _, c := range slices.Backward(r.all) {
		r.destroy(t, &c)
	}
}

// want is the value that is configured for a field.
func (r *run) want(c *resource, field string) (any, bool) {
	v, ok := c.config[field]
	return resolve(v, r.ids), ok
}

// create makes a resource, reads it back and requires that every value that is configured is there.
func (r *run) create(t *testing.T, c *resource) {
	t.Helper()
	body := apisuite.Fields{}
	for _, field := range c.post {
		if v, ok := r.want(c, field); ok {
			body[field] = v
		}
	}
	o := r.Client.Must(t, c.pkg, "Create", body)
	r.ids[c.name] = o.Text("id")
	r.state[c.name] = o
	r.consistent(t, "create", c, o)
}

// plan reads every resource several times, and finds nothing to do.
func (r *run) plan(t *testing.T) {
	t.Helper()
	for i := range r.all {
		c := &r.all[i]
		for range 3 {
			r.consistent(t, "plan", c, r.read(t, c))
		}
	}
}

func (r *run) read(t *testing.T, c *resource) apisuite.Object {
	t.Helper()
	return r.Client.Must(t, c.pkg, "Get", r.ids[c.name])
}

// update changes a resource as configured anew. It sends what did not change as well.
func (r *run) update(t *testing.T, c *resource) {
	t.Helper()
	before := c.config
	c.config = maps.Clone(before)
	maps.Copy(c.config, c.change)
	body := maps.Clone(c.always)
	if body == nil {
		body = apisuite.Fields{}
	}
	for _, field := range c.patch {
		if v, ok := r.want(c, field); ok {
			body[field] = v
		}
	}
	for _, field := range c.ifChanged {
		if v, ok := r.want(c, field); ok && !reflect.DeepEqual(v, before[field]) {
			body[field] = v
		}
	}
	body["id"] = r.ids[c.name]
	o, err := r.Client.Call(t, c.pkg, "Update", body)
	if err != nil {
		t.Errorf("update %s with %v: %v", c.name, body, err)
		return
	}
	r.state[c.name] = o
	r.consistent(t, "update", c, o)
}

// imported reads a resource by its id alone: the state has to be the same.
func (r *run) imported(t *testing.T, c *resource) {
	t.Helper()
	if got, want := r.read(t, c), r.state[c.name]; !reflect.DeepEqual(got, want) {
		t.Errorf("import %s: %v, want %v", c.name, got, want)
	}
}

// destroy removes a resource. That it is gone already is as good.
func (r *run) destroy(t *testing.T, c *resource) {
	t.Helper()
	for _, missing := range []bool{false, true} {
		if _, err := r.Client.Call(t, c.pkg, "Delete", r.ids[c.name]); err != nil && (!missing || !r.Client.NotFound(err)) {
			t.Errorf("destroy %s: %v", c.name, err)
		}
	}
	if _, err := r.Client.Call(t, c.pkg, "Get", r.ids[c.name]); !r.Client.NotFound(err) {
		t.Errorf("read %s when it is gone: %v, want that it is not found", c.name, err)
	}
}

// consistent requires that an answer has every value that is configured.
func (r *run) consistent(t *testing.T, when string, c *resource, o apisuite.Object) {
	t.Helper()
	for _, field := range slices.Sorted(maps.Keys(c.config)) {
		want, _ := r.want(c, field)
		got, shown := shown(o, field)
		if shown && !forgiven(field, got, want) {
			t.Errorf("%s: provider produced inconsistent result: %s.%s = %#v, want %#v", when, c.name, field, got, want)
		}
	}
}

// shown finds the value of a configured field in an answer. Values of secrets are not there.
func shown(o apisuite.Object, field string) (any, bool) {
	switch field {
	case "value", "private_key_pem":
		return nil, false
	case "vault_id", "ip_policy_id", "certificate_id":
		return o.Ref(strings.TrimSuffix(field, "_id")), true
	case "ip_policy_ids":
		var ids []string
		list, _ := o["ip_policies"].([]any)
		for _, ref := range list {
			ref, _ := ref.(map[string]any)
			ids = append(ids, apisuite.Object(ref).Text("id"))
		}
		return ids, true
	case "enforced", "pooling_enabled", "active":
		b, _ := o[field].(bool)
		return b, true
	}
	return o[field], true
}

// forgiven reports whether two values are the same to the provider (api.md 7.2, the end).
func forgiven(field string, got, want any) bool {
	text, isText := got.(string)
	wanted, _ := want.(string)
	list := func(v any) []string {
		var texts []string
		switch v := v.(type) {
		case []string:
			texts = slices.Clone(v)
		case []any:
			for _, item := range v {
				text, _ := item.(string)
				texts = append(texts, text)
			}
		}
		return texts
	}
	switch {
	case field == "domain" && isText:
		plain := func(s string) string { return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), ".") }
		return plain(text) == plain(wanted)
	case field == "cidr" && isText:
		return strings.EqualFold(strings.TrimSpace(text), strings.TrimSpace(wanted))
	case field == "url" && isText:
		return location(text) == location(wanted)
	case field == "ip_policy_ids":
		return slices.Equal(slices.Sorted(slices.Values(list(got))), slices.Sorted(slices.Values(list(want))))
	case field == "acl" || field == "bindings":
		return slices.Equal(list(got), list(want))
	case want == "" || want == nil:
		return got == nil || got == ""
	}
	return reflect.DeepEqual(got, want)
}

// location is a URL without the case of its scheme and the port that http and https imply.
func location(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; port != "" {
		u.Host = strings.TrimSuffix(u.Host, port)
	}
	return u.String()
}
