package rest

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
)

// maxPage is how many objects a page has at most, and by default (api.md 1.5).
const maxPage = 100

// list answers with a page of a collection. path is that of the page's own URI.
func (s *Server) list(q *request, r control.Resource, path, parent string) (answer, error) {
	query, err := parameters(q.URL.RawQuery, "limit", "before_id", "beforeId")
	if err != nil {
		return answer{}, err
	}
	p := control.Page{Limit: maxPage, Parent: parent}
	if text, ok := query["limit"]; ok && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return answer{}, fault.Wrap(err, fault.LimitNumber, text)
		}
		if n < 1 || n > maxPage {
			return answer{}, fault.New(fault.LimitRange, n)
		}
		p.Limit = n
	}
	before := query["before_id"]
	if before == "" {
		before = query["beforeId"] // as the JavaScript client spells it
	}
	if _, suffix, ok := strings.Cut(before, "_"); ok {
		p.Before = r.Spec().Prefix + "_" + suffix
	}
	items, more, err := r.List(q.Context(), q.caller, p)
	if err != nil {
		return answer{}, err
	}
	if items == nil {
		items = []any{}
	}
	uri := q.caller.Origin + path
	page := map[string]any{r.Spec().ListKey: items, "uri": uri, "next_page_uri": nil}
	if more {
		next := url.Values{"before_id": {idOf(items[len(items)-1])}, "limit": {strconv.Itoa(p.Limit)}}
		page["next_page_uri"] = uri + "?" + next.Encode()
	}
	return answer{http.StatusOK, page}, nil
}

// idOf returns the id of an answered object.
func idOf(object any) string {
	return reflect.Indirect(reflect.ValueOf(object)).FieldByName("ID").String()
}

// parameters reads a query that may have these parameters, each once.
func parameters(raw string, names ...string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.Wrap(err, fault.QueryInvalid, err)
	}
	set := map[string]string{}
	for name, list := range values {
		switch {
		case !slices.Contains(names, name):
			return nil, fault.New(fault.QueryUnknown, name, strings.Join(names, ", "))
		case len(list) > 1:
			return nil, fault.New(fault.QueryTwice, name)
		}
		set[name] = list[0]
	}
	return set, nil
}
