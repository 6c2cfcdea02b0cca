package workbench_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

const mistaken = `on_http_request:
  - name: first
    expressions:
      - req.user_agent.is_bott
	# a tab
`

const misspelt = `on_http_reqest: []
`

const faulty = `on_http_request:
  - name: first
    expressions:
      - "req.user_agent.is_bott && 'ä' == \"b\" &&& x"
      - res.status_code == 200
    actions:
      - type: denny
      - type: custom-response
        config: {status_code: 99, boddy: x}
on_http_response:
  - actions:
      - type: owasp-crs-response
      - type: oidc
`

func TestCheck(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sound := workbench.File{Name: "sound.yml", Text: []byte("on_http_request:\n  - actions: [{type: deny}]\n")}
	for _, tt := range []struct {
		name  string
		files []workbench.File
		json  bool
		sound bool
	}{
		{"sound.txt", []workbench.File{sound, sound}, false, true},
		{"sound.json", []workbench.File{sound}, true, true},
		{"mistaken.txt", []workbench.File{{Name: "mistaken.yml", Text: []byte(mistaken)}}, false, false},
		{"misspelt.txt", []workbench.File{{Name: "misspelt.yml", Text: []byte(misspelt)}}, false, false},
		{"faulty.txt", []workbench.File{{Name: "faulty.yml", Text: []byte(faulty)}, sound}, false, false},
		{"faulty.json", []workbench.File{{Name: "faulty.yml", Text: []byte(faulty)}}, true, false},
		{"warned.txt", []workbench.File{{Name: "warned.yml", Text: []byte("inbound: [{actions: [{type: jwt-validation}]}]\n")}}, false, true},
	} {
		w, o := output(tt.json)
		got, err := b.Check(o, tt.files, policy.Target{})
		if err != nil || got != tt.sound {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.sound)
		}
		if tt.json && !json.Valid([]byte(w.String())) {
			t.Errorf("%s is no JSON", tt.name)
		}
		golden(t, "check-"+tt.name, w.String())
	}
}

// TestCheckForATarget narrows what a document may be for (decision 41).
func TestCheckForATarget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := workbench.File{Name: "p.yml", Text: []byte("on_http_request:\n  - expressions: [\"false\"]\n    actions: [{type: deny}]\n")}
	for _, tt := range []struct {
		target policy.Target
		code   string
	}{
		{policy.Target{}, ""},
		{policy.Target{Scheme: endpoint.HTTPS}, ""},
		{policy.Target{Scheme: endpoint.TCP}, "ERR_NGROK_2230"},
		{policy.Target{Cloud: true}, "ERR_NGROK_2235"},
	} {
		w, o := output(false)
		sound, err := b.Check(o, []workbench.File{f}, tt.target)
		if err != nil || sound != (tt.code == "") || !strings.Contains(w.String(), tt.code) {
			t.Errorf("%+v: got %v, %v, %s, want code %q", tt.target, sound, err, w, tt.code)
		}
	}
}

// TestColours marks text for terminals, and never passes control characters of
// a document on to them.
func TestColours(t *testing.T) {
	t.Parallel()
	var w strings.Builder
	f := workbench.File{Name: "p.yml", Text: []byte("{\"on_http\\u001b[2Jx\": []} \x1b[2J")}
	if _, err := newBench(t).Check(workbench.Output{W: &w, Colours: true}, []workbench.File{f}, policy.Target{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.String(), "\x1b[31merror\x1b[0m") || strings.Contains(w.String(), "\x1b[2J") {
		t.Errorf("got %q", w.String())
	}
}
