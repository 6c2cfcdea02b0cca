package claims_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/policy"
)

const denyAll = "on_http_request:\n  - actions:\n      - type: deny\n"

// rulesOf returns how many rules the policy of an endpoint has in each phase.
func rulesOf(t *testing.T, b *wire.Bound) string {
	t.Helper()
	if b.Policy == nil {
		return "none"
	}
	p, ok := b.Policy.(*policy.Program)
	if !ok || p == nil {
		t.Fatalf("the endpoint has the policy %#v", b.Policy)
	}
	var has []string
	for _, ph := range []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse} {
		if p.Has(ph) {
			has = append(has, ph.String())
		}
	}
	return strings.Join(has, " ")
}

// A policy comes in every form in which clients send one.
func TestPolicyInEveryForm(t *testing.T) {
	t.Parallel()
	quoted := func(s string) string { return fmt.Sprintf("%q", s) }
	settings := base64.StdEncoding.EncodeToString([]byte(`{"status_code":451}`))
	tests := []struct{ name, proto, option, value, want string }{
		{"YAML", "https", "TrafficPolicy", quoted(denyAll), "on_http_request"},
		{"JSON", "http", "TrafficPolicy", quoted(`{"on_http_response":[{"actions":[{"type":"deny"}]}]}`), "on_http_response"},
		{"tcp", "tcp", "TrafficPolicy", quoted(`{"on_tcp_connect":[{"actions":[{"type":"deny"}]}]}`), "on_tcp_connect"},
		{"tls, older", "tls", "TrafficPolicy", quoted(`{"inbound":[{"actions":[{"type":"deny"}]}]}`), "on_tcp_connect"},
		{"typed", "https", "TrafficPolicy", quoted(`{"Inbound":[{"Name":"x","Expressions":["true"],"Actions":[{"Type":"deny","Config":{"status_code":451}}]}],"Outbound":[]}`), "on_http_request"},
		{"object", "https", "Policy", `{"inbound":[{"name":"x","expressions":["true"],"actions":[{"type":"deny","config":"` + settings + `"}]}]}`, "on_http_request"},
		{"object, both directions", "https", "Policy", `{"inbound":[{"actions":[{"type":"deny"}]}],"outbound":[{"actions":[{"type":"deny","config":{}}]}]}`, "on_http_request on_http_response"},
		{"object of tcp", "tcp", "Policy", `{"inbound":[{"actions":[{"type":"deny"}]}]}`, "on_tcp_connect"},
		{"empty", "https", "TrafficPolicy", `" \n"`, "none"},
		{"empty document", "https", "TrafficPolicy", `"{}"`, "none"},
		{"object without rules", "https", "Policy", `{}`, "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			got := reserve(t, b, agent("a"), message(t, tt.proto, tt.option, tt.value))
			if rules := rulesOf(t, got); rules != tt.want {
				t.Errorf("rules in %s, want %s", rules, tt.want)
			}
			// What was answered is asked for again.
			release(b, agent("a"), got, false)
			back := wire.Bind{Id: "b1", Proto: tt.proto, Opts: got.Opts, Extra: wire.BindExtra{Token: got.Token}}
			if rules := rulesOf(t, reserve(t, b, agent("b"), back)); rules != tt.want {
				t.Errorf("bound again: rules in %s, want %s", rules, tt.want)
			}
		})
	}
}

// What is accepted and perhaps not meant is logged, with its place.
func TestPolicyWarningsAreLogged(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	cfg := config(t)
	cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	b := newBinder(t, cfg)
	reserve(t, b, agent("a"), message(t, "https", "TrafficPolicy", fmt.Sprintf("%q", denyAll)))
	if logged.Len() > 0 {
		t.Errorf("a policy without warnings: got %s", &logged)
	}
	reserve(t, b, agent("a"), message(t, "https", "TrafficPolicy", `"inbound: [{actions: [{type: deny}]}]"`))
	if got := logged.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "1:1: warning: inbound: inbound is an older spelling") {
		t.Errorf("got %s", got)
	}
}

// All mistakes of a policy are told at once, with their places, and nothing is bound.
func TestPolicy06_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	w := bind("https", "https://app.example.com")
	w.Opts = opts(t, map[string]any{"URL": "https://app.example.com", "TrafficPolicy": "on_http_request:\n" +
		"  - expressions: [\"req.method ==\"]\n    actions:\n      - type: denny\n      - type: deny\n        config: {status_code: 20}\n"})
	_, err := b.Reserve(t.Context(), agent("a"), w)
	f := fault.From(err)
	if err == nil || f.Code != fault.PolicyRefused {
		t.Fatalf("Reserve = %v, want %s", err, fault.PolicyRefused)
	}
	for _, want := range []string{
		"(mistakes: 3).\n2:", "on_http_request[0].expressions[0]: ", "2200", "4:15: on_http_request[0].actions[0].type: ", "did you mean deny?", "2201",
		"6:31: on_http_request[0].actions[1].config.status_code: ",
	} {
		if !strings.Contains(f.Message, want) {
			t.Errorf("refusal %q lacks %q", f.Message, want)
		}
	}
	if strings.Count(f.Message, "\n") != 3 {
		t.Errorf("refusal %q has not a line for each mistake", f.Message)
	}
	if back := fault.ParseWire(f.Wire()); back.Code != fault.PolicyRefused || !strings.Contains(back.Message, "6:31") {
		t.Errorf("the agent reads %+v, want all of it", back)
	}
	reserve(t, b, agentOf("other", "b"), bind("https", "https://app.example.com")) // it is free
}

func TestPolicyRefused(t *testing.T) {
	t.Parallel()
	many := "on_http_request:\n" + strings.Repeat("  - actions: [{type: unknown-of-a-rather-long-name}]\n", 200)
	tests := []struct{ name, proto, text, says string }{
		{"misspelt phase", "https", "on_http_reqest: [{actions: [{type: deny}]}]", "did you mean on_http_request?"},
		{"phase of another protocol", "tcp", denyAll, "on_tcp_connect"},
		{"not built yet", "https", "on_http_request: [{actions: [{type: later}]}]", "later is not built yet"},
		{"no document", "https", "{", "1:"},
		{"without action", "https", "enabled: true", "no action"},
		{"no rules", "https", "on_http_request: []", "no action"},
		{"more than fit", "https", many, "more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			_, err := b.Reserve(t.Context(), agent("a"), wire.Bind{Proto: tt.proto, Opts: opts(t, map[string]any{"TrafficPolicy": tt.text})})
			if !fault.Has(err, fault.PolicyRefused) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Reserve = %v, want %s with %q", err, fault.PolicyRefused, tt.says)
			}
			if n := len(fault.From(err).Message); n > 4000 {
				t.Errorf("the refusal has %d bytes", n)
			}
		})
	}
	b := newBinder(t, config(t))
	refused(t, b, agent("a"), wire.Bind{Proto: "https", Opts: json.RawMessage(`{"Policy":{"inbound":[{"actions":[{"type":"deny","config":"%%"}]}]}}`)}, fault.OptionInvalid)
	refused(t, b, agent("a"), wire.Bind{Proto: "https", Opts: json.RawMessage(`{"Policy":[]}`)}, fault.BindInvalid)
}

// A patch replaces the policy alone, empty text removes it, and a policy with mistakes changes nothing.
func TestPatchPolicy(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	got := reserve(t, b, agent("a"), message(t, "https", "trafficpolicy", fmt.Sprintf("%q", denyAll)))
	patch := func(text string) (*wire.Bound, error) {
		return b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, TrafficPolicy: &text})
	}
	later, err := patch(strings.ReplaceAll(denyAll, "request", "response"))
	if err != nil || rulesOf(t, later) != "on_http_response" {
		t.Errorf("Patch = %s, %v, want the new policy", rulesOf(t, later), err)
	}
	if _, err := patch("on_http_request: 1"); !fault.Has(err, fault.PolicyRefused) {
		t.Errorf("Patch = %v, want %s", err, fault.PolicyRefused)
	}
	name := "n"
	if same, err := b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, Name: &name}); err != nil || rulesOf(t, same) != "on_http_response" {
		t.Errorf("Patch of the name = %s, %v, want the policy as it was", rulesOf(t, same), err)
	}
	var answered struct{ TrafficPolicy string }
	if err := json.Unmarshal(later.Opts, &answered); err != nil || !strings.Contains(answered.TrafficPolicy, "on_http_response") {
		t.Errorf("the options hold the policy %q, %v, want the new one", answered.TrafficPolicy, err)
	}
	if none, err := patch(""); err != nil || rulesOf(t, none) != "none" {
		t.Errorf("Patch = %s, %v, want no policy", rulesOf(t, none), err)
	}
}

// The rules of modules stand ahead of those of the policy, whose replacement leaves them alone.
func TestModulesAheadOfPolicy(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	w := message(t, "https", "basicauth", `{"credentials":[{"username":"u","cleartext_password":"password"}]}`)
	w.Opts = json.RawMessage(strings.Replace(string(w.Opts), `"TrafficPolicy":""`, fmt.Sprintf(`"TrafficPolicy":%q`, strings.ReplaceAll(denyAll, "request", "response")), 1))
	got := reserve(t, b, agent("a"), w)
	if rules := rulesOf(t, got); rules != "on_http_request on_http_response" {
		t.Errorf("rules in %s, want both", rules)
	}
	for text, want := range map[string]string{"": "on_http_request", "on_http_response: [{actions: [{type: deny}]}]": "on_http_request on_http_response"} {
		later, err := b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, TrafficPolicy: &text})
		if err != nil || rulesOf(t, later) != want {
			t.Errorf("Patch(%q) = %s, %v, want %s", text, rulesOf(t, later), err, want)
		}
	}
	// Mistakes are those of the policy, at their places in it, or those of the option.
	w.Opts = json.RawMessage(strings.Replace(string(w.Opts), "deny", "denny", 1))
	if _, err := b.Reserve(t.Context(), agent("b"), w); !fault.Has(err, fault.PolicyRefused) || !strings.Contains(err.Error(), "(mistakes: 1). 3:15: on_http_response[0]") {
		t.Errorf("Reserve = %v, want the mistake of the policy", err)
	}
	for option, value := range map[string]string{
		"IPRestriction": `{"allow_cidrs":["10.0.0.0/8","everywhere"]}`, "RequestHeaders": `{"add":["user-agent:x"]}`,
		"ResponseHeaders": `{"add":["x:${"]}`, "BasicAuth": `{"credentials":[]}`,
	} {
		if _, err := b.Reserve(t.Context(), agent("b"), message(t, "https", option, value)); !fault.Has(err, fault.OptionInvalid) || !strings.Contains(err.Error(), option) {
			t.Errorf("Reserve(%s) = %v, want %s that names the option", value, err, fault.OptionInvalid)
		}
	}
}
