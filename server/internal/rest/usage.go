package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// usage tells callers what their account has used.
func (s *Server) usage(q *request) (answer, error) {
	query, set, err := usageQuery(q.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	rows, next, err := s.cfg.Usage(q.Context(), q.caller.Account, query)
	if err != nil {
		return answer{}, err
	}
	page := api.UsagePage{Usage: rows, URI: q.caller.Origin + api.UsagePath}
	if rows == nil {
		page.Usage = []api.Usage{}
	}
	for i := range rows {
		if e := rows[i].Endpoint; e != nil {
			e.URI = q.caller.Origin + "/endpoints/" + e.ID
		}
	}
	if !next.IsZero() {
		set.Set("from", next.UTC().Format(time.RFC3339))
		uri := page.URI + "?" + set.Encode()
		page.NextPageURI = &uri
	}
	return answer{status: http.StatusOK, body: page}, nil
}

// usageQuery reads the query of a request for usage.
func usageQuery(raw string) (q api.UsageQuery, set url.Values, err error) {
	fields := api.UsageParameters()
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].Name
	}
	if set, err = parameters(raw, names, nil); err != nil {
		return q, nil, err
	}
	if q.From, err = moment(set, "from"); err != nil {
		return q, nil, err
	}
	if q.To, err = moment(set, "to"); err != nil {
		return q, nil, err
	}
	groups := []string{api.ByHour, api.ByDay, api.ByMonth}
	if q.Group = set.Get("group"); q.Group == "" {
		q.Group = api.ByDay
	} else if !slices.Contains(groups, q.Group) {
		return q, nil, fault.New(fault.FieldInvalid, "group", "it is none of "+strings.Join(groups, ", "))
	}
	if text := set.Get("endpoints"); text != "" {
		if q.Endpoints, err = strconv.ParseBool(text); err != nil {
			return q, nil, fault.New(fault.FieldInvalid, "endpoints", "it is neither true nor false")
		}
	}
	q.Endpoint = set.Get("endpoint")
	if prefix, suffix, ok := strings.Cut(q.Endpoint, "_"); q.Endpoint != "" && (!ok || prefix == "" || suffix == "") {
		return q, nil, fault.New(fault.ReferenceInvalid, "endpoint", q.Endpoint)
	}
	return q, set, nil
}

// moment reads a parameter with a day or a time; the zero time stands for none.
func moment(set url.Values, name string) (time.Time, error) {
	text := set.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.FieldInvalid, name, "it is no time like 2026-11-01T15:00:00Z, and no day like 2026-11-01")
}
