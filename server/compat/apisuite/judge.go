package apisuite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// wholeSeconds is how times are written (api.md 1.4).
var wholeSeconds = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// faults returns what is wrong with an answer, whatever was asked for (api.md 1.2, 1.4, 1.5, 1.7, 1.8).
func (e *exchange) faults() []string {
	var found []string
	wrong := func(format string, args ...any) {
		found = append(found, fmt.Sprintf("%s %s = %d: ", e.method, e.url.RequestURI(), e.status)+fmt.Sprintf(format, args...))
	}
	if op := e.header.Get("Ngrok-Operation-Id"); !strings.HasPrefix(op, "op_") {
		wrong("operation id %q", op)
	}
	if e.status == http.StatusNoContent {
		if len(e.body) > 0 {
			wrong("a body: %s", e.body)
		}
		return found
	}
	if typ := e.header.Get("Content-Type"); typ != "application/json" {
		wrong("content type %q", typ)
	}
	var answer map[string]any
	if err := json.Unmarshal(e.body, &answer); err != nil {
		wrong("%v in %s", err, e.body)
		return found
	}
	if e.status >= http.StatusBadRequest {
		refusal(e, answer, wrong)
		return found
	}
	origin := (&url.URL{Scheme: e.url.Scheme, Host: e.url.Host}).String()
	if next, listed := answer["next_page_uri"]; listed {
		if uri, ok := next.(string); next != nil && (!ok || !strings.HasPrefix(uri, origin+"/")) {
			wrong("next_page_uri %v; want null or a URL at %s", next, origin)
		}
	}
	values(answer, origin, wrong)
	return found
}

// refusal judges the body of an error.
func refusal(e *exchange, answer map[string]any, wrong func(string, ...any)) {
	if answer["status_code"] != float64(e.status) {
		wrong("status_code %v", answer["status_code"])
	}
	if msg, _ := answer["msg"].(string); msg == "" {
		wrong("msg %v", answer["msg"])
	}
	code, given := answer["error_code"]
	if text, ok := code.(string); given && (!ok || !strings.HasPrefix(text, "ERR_NGROK_") && !strings.HasPrefix(text, "ERR_CULVERT_")) {
		wrong("error_code %v", code)
	}
	details, _ := answer["details"].(map[string]any)
	for name, v := range details {
		if _, ok := v.(string); !ok {
			wrong("details.%s is %v, which is no text", name, v)
		}
	}
	if details["operation_id"] != e.header.Get("Ngrok-Operation-Id") {
		wrong("details.operation_id %v", details["operation_id"])
	}
}

// values judges times and URIs, however deep they lie.
func values(v any, origin string, wrong func(string, ...any)) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			values(item, origin, wrong)
		}
	case map[string]any:
		for name, field := range v {
			text, isText := field.(string)
			switch {
			case !isText:
				values(field, origin, wrong)
			case strings.HasSuffix(name, "_at") && !wholeSeconds.MatchString(text):
				wrong("%s is %q, want UTC and whole seconds", name, text)
			case name == "uri" && text != "" && !strings.HasPrefix(text, origin+"/"):
				wrong("uri %q, want one at %s", text, origin)
			}
		}
	}
}
