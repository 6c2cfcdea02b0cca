package claims

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// What clients asked of servers before there were policies is done by these rules.
func TestModules(t *testing.T) {
	t.Parallel()
	in := func(rule string) string { return `{"inbound":[` + rule + `]}` }
	out := func(rule string) string { return `{"outbound":[` + rule + `]}` }
	ua := func(expression string) string {
		text, err := json.Marshal("size(req.user_agent) > 1024 || " + expression)
		if err != nil {
			t.Fatal(err)
		}
		return in(`{"name":"UserAgentFilter","expressions":[` + string(text) + `],"actions":[{"type":"deny","config":{"error_code":"ERR_NGROK_3211"}}]}`)
	}
	tests := []struct{ name, option, value, want string }{
		{
			"ranges", "IPRestriction", `{"allow_cidrs":["10.0.0.0/8","::1"],"deny_cidrs":["10.1.0.0/16"]}`,
			in(`{"name":"IPRestriction","actions":[{"type":"restrict-ips","config":{"allow":["10.0.0.0/8","::1"],"deny":["10.1.0.0/16"]}}]}`),
		},
		{
			"a range is no expression", "IPRestriction", `{"allow_cidrs":["${conn.client_ip}"]}`,
			in(`{"name":"IPRestriction","actions":[{"type":"restrict-ips","config":{"allow":["$${conn.client_ip}"]}}]}`),
		},
		{
			"denied agents", "UserAgentFilter", `{"deny":["curl","(?i)bot"]}`,
			ua(`(req.user_agent == '' || (req.user_agent.matches("curl") || req.user_agent.matches("(?i)bot")))`),
		},
		{"allowed agents", "UserAgentFilter", `{"allow":["a\"b"]}`, ua(`true && !(req.user_agent.matches("a\"b"))`)},
		{
			"agents allowed in spite of a denial", "UserAgentFilter", `{"allow":["x"],"deny":["y"]}`,
			ua(`(req.user_agent == '' || (req.user_agent.matches("y"))) && !(req.user_agent.matches("x"))`),
		},
		{
			"credentials", "BasicAuth", `{"credentials":[{"username":"u","cleartext_password":"pass:${word}"}]}`,
			in(`{"name":"BasicAuth","actions":[{"type":"basic-auth","config":{"credentials":["u:pass:$${word}"]}}]}`),
		},
		{
			"breaker", "CircuitBreaker", `{"error_threshold":0.25}`,
			in(`{"name":"CircuitBreaker","actions":[{"type":"circuit-breaker","config":{"error_threshold":0.25}}]}`),
		},
		{
			"breaker at the first chance", "CircuitBreaker", `{}`,
			in(`{"name":"CircuitBreaker","actions":[{"type":"circuit-breaker","config":{"error_threshold":0}}]}`),
		},
		{
			"request headers", "RequestHeaders", `{"add":["x-a: b:c ","x-a:${req.method}"],"remove":["cookie"]}`,
			in(`{"name":"RequestHeaders","actions":[{"type":"remove-headers","config":{"headers":["cookie"]}},` +
				`{"type":"add-headers","config":{"headers":{"x-a":"b:c"}}},{"type":"add-headers","config":{"headers":{"x-a":"${req.method}"}}}]}`),
		},
		{
			"response headers", "ResponseHeaders", `{"remove":["server"]}`,
			out(`{"name":"ResponseHeaders","actions":[{"type":"remove-headers","config":{"headers":["server"]}}]}`),
		},
		{"compression", "Compression", `{}`, out(`{"name":"Compression","actions":[{"type":"compress-response","config":null}]}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := modules(map[string]json.RawMessage{tt.option: json.RawMessage(tt.value)})
			if err != nil || len(got) != 1 {
				t.Fatalf("modules(%s) = %v, %v, want one", tt.value, got, err)
			}
			text, err := json.Marshal(got[0].policy)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := canonical(t, text), canonical(t, []byte(tt.want)); got != want {
				t.Errorf("modules(%s)\ngot  %s\nwant %s", tt.value, got, want)
			}
		})
	}
}

// canonical writes JSON in one way.
func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestModulesRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		option, value string
		code          fault.Code
	}{
		{"IPRestriction", `{"deny_cidrs":["10.0.0.0/8"]}`, fault.CIDRDenyAlone},
		{"IPRestriction", `{"allow_cidr":["10.0.0.0/8"]}`, fault.OptionInvalid},
		{"UserAgentFilter", `{}`, fault.OptionInvalid},
		{"UserAgentFilter", `{"deny":["("]}`, fault.OptionInvalid},
		{"UserAgentFilter", `{"deny":["` + strings.Repeat("x", 4097) + `"]}`, fault.OptionInvalid},
		{"BasicAuth", `{"credentials":[{"cleartext_password":"password"}]}`, fault.BasicAuthUser},
		{"BasicAuth", `{"credentials":[{"username":"u","cleartext_password":"short"}]}`, fault.BasicAuthPassword},
		{"BasicAuth", `{"credentials":[{"username":"u","hashed_password":"eA=="}]}`, fault.OptionInvalid},
		{"BasicAuth", `{"credentials":[{"username":"a:b","cleartext_password":"password"}]}`, fault.OptionInvalid},
		{"CircuitBreaker", `{"error_threshold":1.5}`, fault.CircuitBreakerThreshold},
		{"RequestHeaders", `{"add":["name"]}`, fault.OptionInvalid},
		{"ResponseHeaders", `{"addParsed":{"a":"b"}}`, fault.OptionInvalid},
		{"Compression", `{"level":9}`, fault.OptionInvalid},
		{"Compression", `true`, fault.OptionInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.option+tt.value, func(t *testing.T) {
			t.Parallel()
			_, err := modules(map[string]json.RawMessage{tt.option: json.RawMessage(tt.value)})
			if !fault.Has(err, tt.code) {
				t.Errorf("modules = %v, want %s", err, tt.code)
			}
		})
	}
	if got, err := modules(map[string]json.RawMessage{"RequestHeaders": json.RawMessage(`{}`)}); err != nil || len(got) != 0 {
		t.Errorf("modules = %v, %v, want none", got, err)
	}
}
