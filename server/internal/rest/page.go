package rest

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest/filter"
)

// maxPage is how many objects a page has at most, and by default (api.md 1.5).
const maxPage = 100

// maxAnyOf bounds the values of a repeatable parameter.
const maxAnyOf = 100

// list answers with a page of a collection. path is that of the page's own URI.
func (s *Server) list(q *request, r control.Resource, path, parent string) (answer, error) {
	spec := r.Spec()
	names := []string{"limit", "before_id", "beforeId"}
	if len(spec.Filter) > 0 {
		names = append(names, "filter")
	}
	query, err := parameters(q.URL.RawQuery, names, spec.AnyOf)
	if err != nil {
		return answer{}, err
	}
	p := control.Page{Limit: maxPage, Parent: parent}
	if p.Limit, err = limit(query.Get("limit")); err != nil {
		return answer{}, err
	}
	before := query.Get("before_id")
	if before == "" {
		before = query.Get("beforeId") // as the JavaScript client spells it
	}
	if before != "" {
		_, suffix, ok := strings.Cut(before, "_")
		if !ok || suffix == "" { // ignored, it would give the first page again and again
			return answer{}, fault.New(fault.ReferenceInvalid, "before_id", before)
		}
		p.Before = spec.Prefix + "_" + suffix
	}
	if p.Match, err = s.match(spec, query); err != nil {
		return answer{}, err
	}
	items, more, err := r.List(q.Context(), q.caller, p)
	if err != nil {
		return answer{}, err
	}
	if items == nil {
		items = []any{}
	}
	uri := q.caller.Origin + path
	page := map[string]any{spec.ListKey: items, "uri": uri, "next_page_uri": nil}
	if more && len(items) > 0 {
		next := url.Values{"before_id": {idOf(items[len(items)-1])}, "limit": {strconv.Itoa(p.Limit)}}
		for _, name := range append([]string{"filter"}, spec.AnyOf...) {
			if values := query[name]; len(values) > 0 && values[0] != "" {
				next[name] = values
			}
		}
		page["next_page_uri"] = uri + "?" + next.Encode()
	}
	return answer{status: http.StatusOK, body: page}, nil
}

// limit reads the size of a page.
func limit(text string) (int, error) {
	if text == "" {
		return maxPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.Wrap(err, fault.LimitNumber, text)
	}
	if n < 1 || n > maxPage {
		return 0, fault.New(fault.LimitRange, n)
	}
	return n, nil
}

// match returns what objects of a list have to pass, nil for nothing.
func (s *Server) match(r *api.Resource, query url.Values) (func(object any) (bool, error), error) {
	var tests []func(object any) bool
	for _, name := range r.AnyOf {
		if values := query[name]; len(values) > 0 {
			tests = append(tests, filter.AnyOf(name, values))
		}
	}
	if text := query.Get("filter"); text != "" {
		t, err := filter.Compile(text, r, s.cfg.Now())
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if len(tests) == 0 {
		return nil, nil //nolint:nilnil // nil is the match of everything
	}
	return func(object any) (bool, error) {
		return !slices.ContainsFunc(tests, func(t func(any) bool) bool { return !t(object) }), nil
	}, nil
}

// idOf returns the id of an answered object.
func idOf(object any) string {
	return reflect.Indirect(reflect.ValueOf(object)).FieldByName("ID").String()
}

// parameters reads a query that may have some parameters once, and others repeatedly.
func parameters(raw string, once, repeatable []string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.Wrap(err, fault.QueryInvalid, err)
	}
	for name, list := range values {
		switch repeated := slices.Contains(repeatable, name); {
		case !repeated && !slices.Contains(once, name):
			return nil, fault.New(fault.QueryUnknown, name, known(slices.Concat(once, repeatable)))
		case !repeated && len(list) > 1:
			return nil, fault.New(fault.QueryTwice, name)
		case len(list) > maxAnyOf:
			return nil, fault.New(fault.FieldInvalid, name, "it is there more than "+strconv.Itoa(maxAnyOf)+" times")
		}
	}
	return values, nil
}

// known lists the parameters that there are.
func known(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
