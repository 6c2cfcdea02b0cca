package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
)

// route finds what a path and a method mean and does it.
func (s *Server) route(q *request) (answer, error) {
	path := strings.TrimPrefix(q.URL.Path, "/")
	if path == "" && q.Method == http.MethodGet {
		return s.root(q)
	}
	collection, rest, one := strings.Cut(path, "/")
	r := s.byPath[collection]
	if r == nil {
		return answer{}, errNoRoute
	}
	verb, ok := map[string]api.Verb{
		http.MethodPost + " ": api.Create, http.MethodGet + " ": api.List,
		http.MethodGet + " id": api.Get, http.MethodPatch + " id": api.Update, http.MethodDelete + " id": api.Delete,
	}[q.Method+" "+map[bool]string{true: "id"}[one]]
	id, action, deeper := strings.Cut(rest, "/")
	switch {
	case one && id == "":
		return answer{}, errNoRoute
	case deeper:
		return s.act(q, r, id, action)
	case !ok || !r.Spec().Can(verb):
		return answer{}, errNoRoute
	}
	if verb != api.Get && verb != api.List && !q.caller.Write {
		return answer{}, fault.New(fault.WriteRefused)
	}
	a, err := s.do(q, r, verb, id)
	if errors.Is(err, control.ErrNotFound) && r.Spec().NotFound != "" {
		err = fault.New(r.Spec().NotFound, id)
	}
	return a, err
}

// do does what a verb says.
func (s *Server) do(q *request, r control.Resource, verb api.Verb, id string) (answer, error) {
	raw, err := body(q)
	if err != nil {
		return answer{}, err
	}
	if (verb == api.Get || verb == api.List) && len(raw) > 0 && strings.TrimSpace(string(raw)) != "{}" {
		return answer{}, fault.New(fault.BodyUnexpected)
	}
	ctx := q.Context()
	switch verb {
	case api.Create:
		o, err := r.Create(ctx, q.caller, raw)
		return answer{http.StatusCreated, o}, err
	case api.List:
		return s.list(q, r, r.Spec().Path, "")
	case api.Get:
		o, err := r.Get(ctx, q.caller, id)
		return answer{http.StatusOK, o}, err
	case api.Update:
		o, err := r.Update(ctx, q.caller, id, raw)
		return answer{http.StatusOK, o}, err
	case api.Delete:
		return answer{status: http.StatusNoContent}, r.Delete(ctx, q.caller, id)
	}
	return answer{}, errNoRoute
}

// act does what an action of an object says.
func (s *Server) act(q *request, r control.Resource, id, name string) (answer, error) {
	for _, a := range r.Spec().Actions {
		if a.Path == "" {
			a.Path = a.Name
		}
		if a.Path != name || a.Method != q.Method || a.Lists == "" {
			continue
		}
		if _, err := r.Get(q.Context(), q.caller, id); err != nil {
			return answer{}, err
		}
		return s.list(q, s.byPath[strings.TrimPrefix(a.Lists, "/")], r.Spec().Path+"/"+id+"/"+name, id)
	}
	return answer{}, errNoRoute
}

// root lists what there is.
func (s *Server) root(q *request) (answer, error) {
	uris := map[string]string{}
	for name := range s.byPath {
		uris[name] = q.caller.Origin + "/" + name
	}
	return answer{http.StatusOK, map[string]any{"uri": q.caller.Origin + "/", "subresource_uris": uris}}, nil
}

// write sends an answer. What cannot be sent is lost with its connection.
func write(w http.ResponseWriter, a answer) {
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(a.body) //nolint:errchkjson // our own types; the client has gone
}
