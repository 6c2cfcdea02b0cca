package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
)

// Actor is a resource with actions beside lists (see [api.Action]).
type Actor interface {
	// Act does what an action, by its name, says to an object, and returns the answer; nil for none. Errors
	// are as those of control.Resource.
	Act(ctx context.Context, c *control.Caller, id, action string, body []byte) (any, error)
}

// route is a kind of request with the resource that answers it.
type route struct {
	api.Route
	resource control.Resource
}

// maxSegments is how many segments a path has at most.
const maxSegments = 5

// add makes routes of a resource's table.
func (s *Server) add(r control.Resource) {
	_, acts := r.(Actor)
	for _, t := range r.Spec().Routes() {
		if t.Action != nil && t.Action.Lists == "" && !acts {
			panic("rest: " + t.Path + ": the resource has no actions")
		}
		s.routes[t.Method+" "+t.Path] = route{t, r}
	}
}

// find returns the route of a path and a method, and the id in the path.
func (s *Server) find(method, path string) (r route, id string, ok bool) {
	if r, ok = s.routes[method+" "+path]; ok {
		return r, "", true
	}
	segments := strings.Split(path, "/")
	if len(segments) > maxSegments+1 || slices.Contains(segments[1:], "") {
		return r, "", false
	}
	for i := len(segments) - 1; i > 1; i-- {
		id = segments[i]
		segments[i] = api.IDSegment
		if r, ok = s.routes[method+" "+strings.Join(segments, "/")]; ok {
			return r, id, id != api.IDSegment
		}
		segments[i] = id
	}
	return r, "", false
}

// methods lists the methods that a path has.
func (s *Server) methods(path string) []string {
	var have []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		_, fixed := s.fixed(path)
		if _, _, ok := s.find(m, path); ok || fixed && m == http.MethodGet {
			have = append(have, m)
		}
	}
	return have
}

// route finds what a path and a method mean and does it.
func (s *Server) route(q *request) (answer, error) {
	if do, ok := s.fixed(q.URL.Path); ok && q.method() == http.MethodGet {
		return do(q)
	}
	if key, ok := retired(q.URL.Path); ok {
		return s.retired(q, key)
	}
	r, id, ok := s.find(q.method(), q.URL.Path)
	if !ok {
		return answer{}, errNoRoute
	}
	if r.Writes() && !q.caller.Write {
		return answer{}, fault.New(fault.WriteRefused)
	}
	if r.HasID() {
		var err error
		if id, err = ownID(r.resource.Spec(), id); err != nil {
			return answer{}, err
		}
	}
	a, err := s.do(q, r, id)
	if code := r.resource.Spec().NotFound; code != "" && errors.Is(err, control.ErrNotFound) {
		err = fault.New(code, id)
	}
	return a, err
}

// pathError is a fault of an id in a path, where nothing can be found: its status is 404 (api.md 1.4).
type pathError struct{ fault *fault.Error }

// Error and Unwrap are those of the fault.
func (e *pathError) Error() string { return e.fault.Error() }
func (e *pathError) Unwrap() error { return e.fault }

// ownID judges the prefix of an id in a path and returns the id with that of the resource.
func ownID(r *api.Resource, id string) (string, error) {
	prefix, suffix, ok := strings.Cut(id, "_")
	switch {
	case !ok || suffix == "" || prefix == "":
		return "", &pathError{fault.New(fault.ReferenceInvalid, "id", id)}
	case prefix != r.Prefix && !slices.Contains(r.Also, prefix):
		return "", &pathError{fault.New(fault.ReferenceKind, id, r.Prefix)}
	}
	return r.Prefix + "_" + suffix, nil
}

// do does what a route says. id is that of the path, "" for none.
func (s *Server) do(q *request, r route, id string) (answer, error) {
	raw, err := body(q, r.resource.Spec().MaxBody())
	if err != nil {
		return answer{}, err
	}
	if !r.Writes() && len(raw) > 0 && strings.TrimSpace(string(raw)) != "{}" {
		return answer{}, fault.New(fault.BodyUnexpected)
	}
	if !r.Lists() {
		if err := flags(q, r); err != nil {
			return answer{}, err
		}
	}
	ctx, own := q.Context(), r.resource
	switch r.Verb {
	case api.Create:
		o, err := own.Create(ctx, q.caller, raw)
		return answer{status: http.StatusCreated, body: o}, err
	case api.List:
		return s.list(q, own, r.Path, "")
	case api.Get:
		o, err := own.Get(ctx, q.caller, id)
		return answer{status: http.StatusOK, body: o}, err
	case api.Update:
		o, err := own.Update(ctx, q.caller, id, raw)
		return answer{status: http.StatusOK, body: o}, err
	case api.Delete:
		return answer{status: http.StatusNoContent}, own.Delete(ctx, q.caller, id)
	}
	if r.Lists() {
		if _, err := own.Get(ctx, q.caller, id); err != nil {
			return answer{}, err
		}
		return s.list(q, s.byPath[r.Action.Lists], strings.Replace(r.Path, api.IDSegment, id, 1), id)
	}
	o, err := own.(Actor).Act(ctx, q.caller, id, r.Action.Name, raw) //nolint:forcetypeassert // add has looked
	if o == nil {
		return answer{status: http.StatusNoContent}, err
	}
	return answer{status: http.StatusOK, body: o}, err
}

// flags reads the query of a request that is no list.
func flags(q *request, r route) error {
	var names []string
	if r.resource.Spec().Force && (r.Verb == api.Create || r.Verb == api.Update) {
		names = []string{"force"}
	}
	set, err := parameters(q.URL.RawQuery, names, nil)
	if err != nil {
		return err
	}
	switch values := set["force"]; {
	case len(values) == 0, values[0] == "false":
	case values[0] == "true":
		q.caller.Force = true
	default:
		return fault.New(fault.FieldInvalid, "force", "it is neither true nor false")
	}
	return nil
}
