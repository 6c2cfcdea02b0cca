package api

import (
	"net/http"
	"slices"
	"strings"
)

// IDSegment stands for an id in the path of a [Route].
const IDSegment = "{id}"

// Route is one kind of request that a resource answers.
type Route struct {
	// Resource is whose it is.
	Resource *Resource
	// Method is that of HTTP; GET also answers HEAD.
	Method string
	// Path is such as "/vaults", "/vaults/{id}" or "/vaults/{id}/secrets".
	Path string
	// Verb is what it does, "" for an action.
	Verb Verb
	// Action is the action, nil for a verb.
	Action *Action
}

// Writes reports whether the request changes something.
func (r *Route) Writes() bool { return r.Method != http.MethodGet }

// Lists reports whether the answer is a page of a list.
func (r *Route) Lists() bool { return r.Verb == List || r.Action != nil && r.Action.Lists != "" }

// HasID reports whether the path holds an id.
func (r *Route) HasID() bool { return strings.Contains(r.Path, IDSegment) }

// methods are those of verbs, in the order of manuals.
var methods = []struct {
	verb   Verb
	method string
	id     bool
}{
	{Create, http.MethodPost, false},
	{List, http.MethodGet, false},
	{Get, http.MethodGet, true},
	{Update, http.MethodPatch, true},
	{Delete, http.MethodDelete, true},
}

// Routes returns the requests that the resource answers: those of its verbs, then those of its actions.
func (r *Resource) Routes() []Route {
	var routes []Route
	for _, m := range methods {
		if !r.Can(m.verb) {
			continue
		}
		route := Route{Resource: r, Method: m.method, Path: r.Path, Verb: m.verb}
		if m.id {
			route.Path += "/" + IDSegment
		}
		routes = append(routes, route)
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		last := a.Path
		if last == "" {
			last = a.Name
		}
		routes = append(routes, Route{Resource: r, Method: a.Method, Path: r.Path + "/" + IDSegment + "/" + last, Action: a})
	}
	return routes
}

// Usable reports whether a field may be given when an object is made, or changed.
func (f *Field) Usable(create bool) bool {
	use := f.Update
	if create {
		use = f.Create
	}
	return use == Optional || use == Required
}

// Command returns the name of the resource's command: its path with hyphens.
func (r *Resource) Command() string { return Hyphens(strings.TrimPrefix(r.Path, "/")) }

// Hyphens returns a name of the API as commands and flags spell it.
func Hyphens(name string) string { return strings.NewReplacer("_", "-", "/", "-").Replace(name) }

// ByPath returns the table with a path, nil if none of the tables has it.
func ByPath(tables []*Resource, path string) *Resource {
	i := slices.IndexFunc(tables, func(r *Resource) bool { return r.Path == path })
	if i < 0 {
		return nil
	}
	return tables[i]
}

// Long reports whether a field's value is so long that people keep it in files.
func (f *Field) Long() bool { return f.Type == String && f.Max > MaxMetadata }
