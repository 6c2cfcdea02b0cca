package workbench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// state is what an action may change, as text by name.
type state struct {
	facts map[string]string
	// request and response are the header fields.
	request, response http.Header
	// bodies of request and response: which reader they are.
	requestBody, responseBody io.Reader
	logs                      int
	logged                    []string
}

// state takes down what the exchange is like.
func (r *recorder) state() state {
	x := r.x
	s := state{facts: make(map[string]string), logs: len(x.Logs)}
	if q := x.Request; q != nil {
		s.facts["request method"], s.facts["request URL"], s.facts["request host"] = q.Method, q.URL.RequestURI(), q.Host
		s.request, s.requestBody = q.Header.Clone(), q.Body
	}
	if p := x.Response; p != nil {
		s.facts["response status"] = fmt.Sprint(p.StatusCode)
		s.response, s.responseBody = p.Header.Clone(), p.Body
	}
	if m := x.Message; m != nil {
		s.facts["event data"], s.facts["event retry"] = m.Data, m.Retry
	}
	if len(x.Removed) > 0 {
		s.facts["fields of the edge that are not sent"] = strings.Join(x.Removed, ", ")
	}
	if t := x.Conn.Target; t != nil {
		s.facts["connection goes to"] = fmt.Sprint(t)
	}
	if x.Conn.Terminate != nil {
		s.facts["TLS"] = "ends at the edge"
	}
	if v, ok := x.Lookup("vars"); ok {
		vars, _ := v.(map[string]any)
		for name, value := range vars {
			s.facts["vars."+name] = textOf(value)
		}
	}
	for _, v := range r.registry.Results() {
		if value, ok := x.Lookup(v.Name); ok {
			s.facts[v.Name] = textOf(value)
		}
	}
	for _, entry := range x.Logs {
		s.logged = append(s.logged, textOf(entry["metadata"]))
	}
	return s
}

func textOf(v any) string {
	switch m := v.(type) {
	case json.RawMessage:
		return string(m)
	case http.Header, map[string][]string:
		if text, err := json.Marshal(m); err == nil {
			return string(text)
		}
	}
	text, err := expr.Text(v)
	if err != nil {
		return "error: " + err.Error()
	}
	return text
}

// changes lists what is different after s.
func (s state) changes(after state) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(after.facts)) {
		if s.facts[name] != after.facts[name] { // what was absent and is empty is no news
			list = append(list, shorten(name+" = "+after.facts[name]))
		}
	}
	list = append(list, fields("request", s.request, after.request)...)
	list = append(list, fields("response", s.response, after.response)...)
	if s.requestBody != nil && after.requestBody != s.requestBody {
		list = append(list, "request body is another one")
	}
	if s.responseBody != nil && after.responseBody != s.responseBody {
		list = append(list, "response body is another one")
	}
	for _, entry := range after.logged[s.logs:] {
		list = append(list, shorten("log "+entry))
	}
	return list
}

// fields lists the header fields that came and went.
func fields(which string, before, after http.Header) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		for _, v := range without(after[name], before[name]) {
			list = append(list, shorten(which+" + "+name+": "+v))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		for _, v := range without(before[name], after[name]) {
			list = append(list, shorten(which+" - "+name+": "+v))
		}
	}
	return list
}

// without returns the values of a that b lacks, each as often as that.
func without(a, b []string) []string {
	rest := slices.Clone(b)
	var list []string
	for _, v := range a {
		if i := slices.Index(rest, v); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		list = append(list, v)
	}
	return list
}
