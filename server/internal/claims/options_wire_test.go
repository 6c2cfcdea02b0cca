package claims_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// stockOpts are the options that version 1 of the Go SDK sends for an endpoint without any: every key, every
// time.
var stockOpts = map[string]string{
	"http": `"URL":"","Domain":"","Hostname":"","Subdomain":"","Auth":"","HostHeaderRewrite":false,"LocalURLScheme":null,` +
		`"ProxyProto":0,"Compression":null,"CircuitBreaker":null,"IPRestriction":null,"BasicAuth":null,"OAuth":null,"OIDC":null,` +
		`"WebhookVerification":null,"MutualTLSCA":null,"RequestHeaders":null,"ResponseHeaders":null,` +
		`"WebsocketTCPConverter":null,"UserAgentFilter":null,"Policy":null,"TrafficPolicy":""`,
	"tcp": `"URL":"","Addr":"","ProxyProto":0,"IPRestriction":null,"Policy":null,"TrafficPolicy":""`,
	"tls": `"URL":"","Domain":"","Hostname":"","Subdomain":"","ProxyProto":0,"MutualTLSAtAgent":false,` +
		`"MutualTLSAtEdge":null,"TLSTermination":null,"IPRestriction":null,"Policy":null,"TrafficPolicy":""`,
}

// message is a bind as it comes off the wire: the stock options with one of them set.
func message(t *testing.T, proto, name, value string) wire.Bind {
	t.Helper()
	family := strings.TrimSuffix(proto, "s")
	if proto == "tls" {
		family = proto
	}
	var opts []string
	for o := range strings.SplitSeq(stockOpts[family], ",") {
		if key, _, _ := strings.Cut(o, ":"); !strings.EqualFold(key, `"`+name+`"`) {
			opts = append(opts, o)
		}
	}
	if name != "" {
		opts = append(opts, fmt.Sprintf("%q:%s", name, value))
	}
	text := fmt.Sprintf(`{"Id":"","Proto":%q,"ForwardsTo":"app://h/x?pid=1","ForwardsProto":"","Opts":{%s},"Extra":{"Name":"","Token":"",`+
		`"IPPolicyRef":"","Metadata":"","Description":"","Bindings":null,"PoolingEnabled":false}}`, proto, strings.Join(opts, ","))
	var b wire.Bind
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b
}

// No option that would protect something is ignored, whatever protocol it comes with (decisions.md 27).
func TestEveryOptionIsInForceOrRefused(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	pem := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	ca := fmt.Sprintf(`{"mutual_tls_ca":%q}`, pem(cert))
	values := map[string]string{
		"TrafficPolicy":         `"{\"on_tcp_connect\":[{\"actions\":[{\"type\":\"deny\"}]}]}"`,
		"Policy":                `{"inbound":[{"actions":[{"type":"deny"}]}]}`,
		"BasicAuth":             `{"credentials":[{"username":"u","cleartext_password":"password"}]}`,
		"Auth":                  `"user:password"`,
		"Password":              `"password"`,
		"OAuth":                 `{"provider":"google"}`,
		"OIDC":                  `{"issuer_url":"https://id.example.com"}`,
		"IPRestriction":         `{"allow_cidrs":["10.0.0.0/8"]}`,
		"WebhookVerification":   `{"provider":"github","secret":"x"}`,
		"UserAgentFilter":       `{"deny":[".*"]}`,
		"CircuitBreaker":        `{"error_threshold":0.5}`,
		"Compression":           `{}`,
		"RequestHeaders":        `{"remove":["cookie"]}`,
		"ResponseHeaders":       `{"add":["a:b"]}`,
		"WebsocketTCPConverter": `{}`,
		"HostHeaderRewrite":     `true`,
		"MutualTLSAtAgent":      `true`,
		"MutualTLSCA":           ca,
		"MutualTLSAtEdge":       ca,
		"TLSTermination":        fmt.Sprintf(`{"cert":%q,"key":%q}`, pem(cert), pem(key)),
	}
	webModules := []string{"BasicAuth", "UserAgentFilter", "CircuitBreaker", "Compression", "RequestHeaders", "ResponseHeaders"}
	for name, value := range values {
		for _, proto := range []string{"http", "https", "tcp", "tls"} {
			for _, spelt := range []string{name, strings.ToLower(name)} {
				t.Run(proto+" "+spelt, func(t *testing.T) {
					t.Parallel()
					b := newBinder(t, config(t))
					got, err := b.Reserve(t.Context(), agent("a"), message(t, proto, spelt, value))
					switch {
					case name == "TrafficPolicy" || name == "Policy":
						if err != nil || got.Policy == nil {
							t.Errorf("Reserve = %+v, %v, want it in force", got.Policy, err)
						}
					case name == "IPRestriction", strings.HasPrefix(proto, "http") && slices.Contains(webModules, name):
						if err != nil || got.Policy == nil {
							t.Errorf("Reserve = %+v, %v, want it in force", got, err)
						}
					case proto == "https" && name == "MutualTLSCA":
						if err != nil || got.TLS == nil || len(got.TLS.ClientCAs) != 1 {
							t.Errorf("Reserve = %+v, %v, want it in force", got.TLS, err)
						}
					case proto == "tls" && name == "TLSTermination":
						if err != nil || got.TLS == nil || got.TLS.Certificate == nil {
							t.Errorf("Reserve = %+v, %v, want it in force", got.TLS, err)
						}
					default:
						f := fault.From(err)
						if err == nil || !strings.HasPrefix(string(f.Code), "ERR_CULVERT_1") {
							t.Fatalf("Reserve = %v, want it refused", err)
						}
						if !strings.Contains(f.Message, name) {
							t.Errorf("refusal %q does not name %s", f.Message, name)
						}
					}
				})
			}
		}
	}
}

// Of two spellings of a name decoding takes the last: what the first one asks for must not be lost.
func TestOptionsGivenTwiceAreRefused(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	cert, _ := pair(t)
	ca := fmt.Sprintf(`{"mutual_tls_ca":%q}`, base64.StdEncoding.EncodeToString(cert))
	for _, opts := range []string{
		`{"MutualTLSCA":` + ca + `,"MutualTLSCA":null}`,
		`{"MutualTLSCA":` + ca + `,"mutualtlsca":null}`,
		`{"mutualtl` + "\u017f" + `ca":` + ca + `,"MutualTLSCA":null}`, // ſ is an s to the decoder
		`{"OAuth":{"provider":"google"},"oauth":null}`,
	} {
		refused(t, b, agent("a"), wire.Bind{Proto: "https", Opts: json.RawMessage(opts)}, fault.BindInvalid)
	}
}

// What a client sends for options that nobody asked for stands in no bind's way.
func TestStockOptionsAreAccepted(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	for _, proto := range []string{"http", "https", "tcp", "tls"} {
		first := message(t, proto, "", "")
		bound := reserve(t, b, agent("a"), first)
		release(b, agent("a"), bound, false)
		back := first
		back.Id, back.Opts, back.Extra.Token = "b1", bound.Opts, bound.Token // what it was answered
		if got := reserve(t, b, agent("b"), back); got.URL != bound.URL {
			t.Errorf("%s: bound again as %s, want %s", proto, got.URL, bound.URL)
		}
	}
}
