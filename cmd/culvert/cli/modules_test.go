package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// Older flags and keys ask the server for the same, by the options of the bind.
func TestModulesTravel(t *testing.T) {
	t.Parallel()
	binds := make(chan wire.Bind, 1)
	w, h := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		binds <- req
		return nil
	}}), newHome(t)
	w.connect(t, h, `tunnels:
  web:
    proto: http
    addr: 80
    basic_auth: ["u:password"]
    circuit_breaker: 0.5
    compression: true
    ip_restriction: {allow_cidrs: [10.0.0.0/8], deny_cidrs: [10.1.0.0/16]}
    request_header: {add: ["a: b,c"], remove: [d]}
    response_header: {add: ["e:f"], remove: [g]}
    user_agent_filter: {allow: ["x,y"], deny: [z]}
  db: {proto: tcp, addr: 22, ip_restriction: {allow_cidrs: ["::/0"]}}
`)
	const web = `{"IPRestriction":{"allow_cidrs":["10.0.0.0/8"],"deny_cidrs":["10.1.0.0/16"]},"UserAgentFilter":{"allow":["x,y"],"deny":["z"]},` +
		`"BasicAuth":{"credentials":[{"username":"u","cleartext_password":"password"}]},"CircuitBreaker":{"error_threshold":0.5},` +
		`"RequestHeaders":{"add":["a: b,c"],"remove":["d"]},"ResponseHeaders":{"add":["e:f"],"remove":["g"]},"Compression":{}}`
	const addresses = `{"IPRestriction":{"allow_cidrs":["10.0.0.0/8","::1"]}}`
	tests := []struct {
		args, want string
		warns      int
	}{
		{"start web", web, 0},
		{"start db", `{"IPRestriction":{"allow_cidrs":["::/0"]}}`, 0},
		{"http 80 --basic-auth u:password --circuit-breaker 0.5 --compression --cidr-allow 10.0.0.0/8 --cidr-deny 10.1.0.0/16 " +
			"--request-header-add|a: b,c|--request-header-remove d --response-header-add e:f --response-header-remove g " +
			"--ua-filter-allow x,y --ua-filter-deny z", web, 11},
		{"http 80 --circuit-breaker 0", `{"CircuitBreaker":{}}`, 1},
		{"tcp 22 --cidr-allow 10.0.0.0/8,::1", addresses, 0},
		{"tls 443 --cidr-allow 10.0.0.0/8 --cidr-allow ::1", addresses, 0},
	}
	for _, tt := range tests {
		words := strings.Fields(tt.args)
		if before, rest, ok := strings.Cut(tt.args, "|"); ok { // a value with a blank
			value, after, _ := strings.Cut(rest, "|")
			words = slices.Concat(strings.Fields(before), []string{value}, strings.Fields(after))
		}
		i := h.program(words...)
		i.start(t)
		var got wire.Modules
		if err := json.Unmarshal((<-binds).Opts, &got); err != nil {
			t.Fatal(err)
		}
		i.interrupt()
		i.wait(t)
		text, err := json.Marshal(got)
		if err != nil || string(text) != tt.want {
			t.Errorf("%s: asks for\n got %s, %v\nwant %s", tt.args, text, err, tt.want)
		}
		if n := strings.Count(i.err.String(), "is deprecated"); n != tt.warns {
			t.Errorf("%s: %d warnings, want %d: %s", tt.args, n, tt.warns, i.err)
		}
	}
}
