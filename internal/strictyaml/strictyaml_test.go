package strictyaml_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/strictyaml"
)

type upstream struct {
	URL      string `yaml:"url"`
	Protocol string `yaml:"protocol"`
	Verify   *bool  `yaml:"tls_verify"`
}

type item struct {
	Name     string         `yaml:"name"`
	Upstream upstream       `yaml:"upstream"`
	Bindings []string       `yaml:"bindings"`
	Policy   any            `yaml:"traffic_policy"`
	Labels   map[string]int `yaml:"labels"`
}

type common struct {
	LogLevel string `yaml:"log_level"`
}

type agent struct {
	Authtoken string        `yaml:"authtoken"`
	Heartbeat time.Duration `yaml:"heartbeat_interval"`
	Addr      netip.Addr    `yaml:"addr"`
	Color     list          `yaml:"color"`
	common    `yaml:"-"`
	Common    common `yaml:",inline"`
}

// list takes a scalar as a list of one.
type list []string

func (l *list) UnmarshalText(b []byte) error {
	if string(b) == "bad" {
		return errors.New("bad is not a colour")
	}
	*l = list{string(b)}
	return nil
}

type config struct {
	Version   int             `yaml:"version"`
	Ratio     float64         `yaml:"ratio"`
	Small     uint8           `yaml:"small"`
	Agent     *agent          `yaml:"agent"`
	Endpoints []item          `yaml:"endpoints"`
	Tunnels   map[string]item `yaml:"tunnels"`
	Inspect   bool            `yaml:"inspect"`
	Untagged  string
}

func TestDecode(t *testing.T) {
	t.Parallel()
	yes := true
	tests := []struct {
		name, in string
		want     config
	}{
		{"empty", "", config{}},
		{"comment only", "# nothing\n", config{}},
		{"separator only", "---\n", config{}},
		{"scalars", "version: 3\nratio: 2\nsmall: 0x10\ninspect: true\n", config{Version: 3, Ratio: 2, Small: 16, Inspect: true}},
		{"null is absent", "version:\nagent:\nendpoints: ~\n", config{}},
		{"number for text", "endpoints: [{name: 12, upstream: {url: 8080}}]", config{Endpoints: []item{{Name: "12", Upstream: upstream{URL: "8080"}}}}},
		{
			"duration, text type, inline", "agent: {heartbeat_interval: 1m30s, addr: '::1', log_level: debug}",
			config{Agent: &agent{Heartbeat: 90 * time.Second, Addr: netip.MustParseAddr("::1"), Common: common{LogLevel: "debug"}}},
		},
		{"scalar for a list type", "agent: {color: red}", config{Agent: &agent{Color: list{"red"}}}},
		{"bool for a text type", "agent: {color: false}", config{Agent: &agent{Color: list{"false"}}}},
		{"list for a list type", "agent: {color: [red, bad]}", config{Agent: &agent{Color: list{"red", "bad"}}}},
		{"pointer", "endpoints: [{upstream: {tls_verify: true}}]", config{Endpoints: []item{{Upstream: upstream{Verify: &yes}}}}},
		{"map", "tunnels: {'a.b': {name: x}, c: {labels: {k: 1}}}", config{Tunnels: map[string]item{"a.b": {Name: "x"}, "c": {Labels: map[string]int{"k": 1}}}}},
		{
			"any", "endpoints: [{traffic_policy: {a: [1, 1.5, x, true, null]}}]",
			config{Endpoints: []item{{Policy: map[string]any{"a": []any{1, 1.5, "x", true, nil}}}}},
		},
		{"alias", "endpoints: [&e {name: x}, *e]", config{Endpoints: []item{{Name: "x"}, {Name: "x"}}}},
		{"block text", "agent:\n  authtoken: |-\n    a\n    \tb\n", config{Agent: &agent{Authtoken: "a\n\tb"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got config
			if err := strictyaml.Decode("f.yml", []byte(tt.in), &got); err != nil {
				t.Fatalf("Decode(%q): %v", tt.in, err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Decode(%q) =\n%+v, want\n%+v", tt.in, got, tt.want)
			}
		})
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	t.Parallel()
	got := config{Version: 2, Ratio: 7}
	if err := strictyaml.Decode("f.yml", []byte("version: 3"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 3 || got.Ratio != 7 {
		t.Errorf("got version %d, ratio %v, want 3, 7", got.Version, got.Ratio)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"unknown key, near", "endpoints:\n  - name: web\n    upsteam: {}\n", `f.yml:3:5: endpoints[0].upsteam: unknown key; did you mean "upstream"?`},
		{"unknown key, swapped letters", "verison: 3", `f.yml:1:1: verison: unknown key; did you mean "version"?`},
		{"unknown key, other separator", "agent: {log-level: x}", `f.yml:1:9: agent.log-level: unknown key; did you mean "log_level"?`},
		{"unknown key, deeper", "authtoken: x", `f.yml:1:1: authtoken: unknown key; did you mean "agent.authtoken"?`},
		{"unknown key, nothing near", "zebra: x", `f.yml:1:1: zebra: unknown key`},
		{"unknown key, odd name", "'a b': x", `f.yml:1:1: ["a b"]: unknown key`},
		{"untagged field", "Untagged: x", `f.yml:1:1: Untagged: unknown key`},
		{"inside a map", "tunnels: {a: {nam: x}}", `f.yml:1:15: tunnels.a.nam: unknown key; did you mean "name"?`},
		{"repeated key", "version: 3\nversion: 4", `f.yml:2:1: version: the key is given twice; it stands on line 1 already`},
		{"repeated key inside any", "endpoints: [{traffic_policy: {a: 1, a: 2}}]", `f.yml:1:37: endpoints[0].traffic_policy.a: the key is given twice; it stands on line 1 already`},
		{"text for number", "version: three", `f.yml:1:10: version: expected a whole number, found the text "three"`},
		{"quoted number", "version: '3'", `f.yml:1:10: version: expected a whole number, found the text "3"; leave the quotes out`},
		{"fraction for whole number", "version: 3.5", `f.yml:1:10: version: expected a whole number, found the number 3.5`},
		{"number out of range", "small: 300", `f.yml:1:8: small: the number 300 is too large or too small`},
		{"negative for unsigned", "small: -1", `f.yml:1:8: small: the number -1 is too large or too small`},
		{"yes for true", "inspect: yes", `f.yml:1:10: inspect: expected true or false, found the text "yes"; write true or false`},
		{"bool for text", "agent: {authtoken: true}", `f.yml:1:20: agent.authtoken: expected text, found true; write it in quotes if it is meant as text`},
		{"list for text", "agent: {authtoken: [a]}", `f.yml:1:20: agent.authtoken: expected text, found a list`},
		{"duration without unit", "agent: {heartbeat_interval: 10}", `f.yml:1:29: agent.heartbeat_interval: "10" is not a duration; write a number with its unit: 500ms, 10s, 2m`},
		{"text type refuses", "agent: {color: bad}", `f.yml:1:16: agent.color: bad is not a colour`},
		{"text for mapping", "agent: x", `f.yml:1:8: agent: expected a mapping of keys to values, found the text "x"`},
		{"list for map", "tunnels: []", `f.yml:1:10: tunnels: expected a mapping of names to values, found a list`},
		{"text for list", "endpoints: x", `f.yml:1:12: endpoints: expected a list, found the text "x"; write one item per line with a leading -, or [a, b]`},
		{"empty item", "endpoints:\n  -\n", `f.yml:2:4: endpoints[0]: the item is empty`},
		{"root is a list", "- a", `f.yml:1:1: expected a mapping of keys to values, found a list`},
		{"tab", "agent:\n\tauthtoken: x\n", `f.yml:2:1: a tab indents the line; use spaces`},
		{"misindented", "agent:\n  a: 1\n b: 2\n", `f.yml:2: not valid YAML at or after this line: did not find expected key`},
		{"second document", "version: 3\n---\nversion: 4\n", `f.yml:2:1: the file has a second document; remove the line with ---`},
		{"merge key", "x: &x {name: a}\nendpoints: [{<<: *x}]", "f.yml:1:1: x: unknown key\nf.yml:2:14: endpoints[0][\"<<\"]: merge keys are not supported; write the keys out"},
		{"key is not text", "? [a]\n: b\n", `f.yml:1:3: a key must be plain text`},
		{"tag", "version: !!str 3", "f.yml:1:10: version: the tag !!str is not supported; leave it out\nf.yml:1:10: version: expected a whole number, found the text \"3\""},
		{"all at once, in order", "endpoints: [{nmae: x}]\nversion: x\n", "f.yml:1:14: endpoints[0].nmae: unknown key; did you mean \"name\"?\nf.yml:2:10: version: expected a whole number, found the text \"x\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c config
			err := strictyaml.Decode("f.yml", []byte(tt.in), &c)
			if err == nil {
				t.Fatalf("Decode(%q) succeeded, want problems", tt.in)
			}
			if _, ok := errors.AsType[strictyaml.Problems](err); !ok {
				t.Errorf("error is a %T, want Problems", err)
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("Decode(%q) =\n%s, want\n%s", tt.in, got, tt.want)
			}
		})
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"TOKEN": "s3cret", "EMPTY": "", "NESTED": "${env:TOKEN}"}[name]
		return v, ok
	}
	tests := []struct {
		in, want, problem string
	}{
		{in: "plain", want: "plain"},
		{in: "${env:TOKEN}", want: "s3cret"},
		{in: "a-${env:TOKEN}-${env:EMPTY}b", want: "a-s3cret-b"},
		{in: "${env:NESTED}", want: "${env:TOKEN}"},
		{in: "$${env:TOKEN}", want: "${env:TOKEN}"},
		{in: "$TOKEN ${TOKEN}", want: "$TOKEN ${TOKEN}"},
		{in: "${env:MISSING}", problem: "f.yml:1:20: agent.authtoken: the environment variable MISSING is not set; set it, or remove ${env:MISSING}"},
		{in: "${env:}", problem: "f.yml:1:20: agent.authtoken: ${env:...} without a variable's name; write ${env:NAME}, or $${env: for the text itself"},
		{in: "${env:TOKEN", problem: "f.yml:1:20: agent.authtoken: ${env:...} without a variable's name; write ${env:NAME}, or $${env: for the text itself"},
		{in: "${env:a b}", problem: "f.yml:1:20: agent.authtoken: ${env:...} without a variable's name; write ${env:NAME}, or $${env: for the text itself"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			d, err := strictyaml.Parse("f.yml", fmt.Appendf(nil, "agent: {authtoken: '%s'}", tt.in), strictyaml.Options{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			var c config
			err = d.Decode(&c)
			if got := fmt.Sprint(err); tt.problem != "" && got != tt.problem {
				t.Errorf("Decode(%q) = %s, want %s", tt.in, got, tt.problem)
			}
			if tt.problem == "" && (err != nil || c.Agent.Authtoken != tt.want) {
				t.Errorf("Decode(%q) = %+v, %v, want %q", tt.in, c.Agent, err, tt.want)
			}
		})
	}
	t.Run("off by default", func(t *testing.T) {
		t.Parallel()
		var c config
		if err := strictyaml.Decode("f.yml", []byte("agent: {authtoken: '${env:MISSING}'}"), &c); err != nil || c.Agent.Authtoken != "${env:MISSING}" {
			t.Errorf("Decode = %+v, %v, want the text as it is", c.Agent, err)
		}
	})
}

func TestDocument(t *testing.T) {
	t.Parallel()
	d, err := strictyaml.Parse("f.yml", []byte("version: 3\nagent:\nendpoints:\n  - name: web\n    upstream:\n      url: x\n"), strictyaml.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"endpoints[0].upstream.url":  "f.yml:6:7: endpoints[0].upstream.url: bad; try y",
		"endpoints[0].upstream.port": "f.yml:5:5: endpoints[0].upstream.port: bad; try y",
		"endpoints[0].name":          "f.yml:4:5: endpoints[0].name: bad; try y",
		"endpoints[7].name":          "f.yml:3:1: endpoints[7].name: bad; try y",
		"nowhere":                    "f.yml: nowhere: bad; try y",
	} {
		if got := d.Problem(key, "bad", "try y").String(); got != want {
			t.Errorf("Problem(%q) = %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]bool{"version": true, "agent": false, "endpoints": true, "endpoints[0].name": true, "zebra": false} {
		if got := d.Has(key); got != want {
			t.Errorf("Has(%q) = %v, want %v", key, got, want)
		}
	}
	if got, ok := d.Scalar("version"); got != "3" || !ok {
		t.Errorf("Scalar(version) = %q, %v, want 3", got, ok)
	}
	for _, key := range []string{"agent", "endpoints", "zebra"} {
		if got, ok := d.Scalar(key); ok {
			t.Errorf("Scalar(%s) = %q, want none", key, got)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'h'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ","))
	}
	for name, in := range map[string]string{
		"size":            strings.Repeat("#", 1<<20+1),
		"depth":           "a: " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
		"alias explosion": bomb,
		"alias of itself": "a: &a [*a]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := strictyaml.Parse("f.yml", []byte(in), strictyaml.Options{}); err == nil {
				t.Error("Parse succeeded, want a refusal")
			}
		})
	}
	many := strictyaml.Problems{}
	for i := range 60 {
		many = append(many, strictyaml.Problem{File: "f", Line: i + 1, Message: "x"})
	}
	if got := many.Err().Error(); !strings.HasSuffix(got, "\nand 10 more") {
		t.Errorf("Problems.Error() ends with %q, want the number of those left out", got[len(got)-20:])
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("version: 3\nagent: {authtoken: '${env:X}', heartbeat_interval: 10s}\n")
	f.Add("endpoints: [&e {name: x, traffic_policy: {a: [1, 1.5, null]}}, *e]\n")
	f.Add("a: &a [*a]\n")
	f.Add("tunnels: {'a.b': {labels: {k: 1}}}\n---\n")
	f.Add("? [a]\n: b\n\t<<: *x\n")
	f.Add("!!binary x: !foo {}\n")
	f.Fuzz(func(t *testing.T, in string) {
		d, err := strictyaml.Parse("f.yml", []byte(in), strictyaml.Options{Env: func(string) (string, bool) { return "v", true }})
		if err == nil {
			var c config
			err = d.Decode(&c)
			_ = d.Problem("endpoints[0].upstream", "x", "")
		}
		if err == nil {
			return
		}
		ps, ok := errors.AsType[strictyaml.Problems](err)
		if !ok || len(ps) == 0 {
			t.Fatalf("Decode(%q) = %T %v, want Problems", in, err, err)
		}
	})
}
