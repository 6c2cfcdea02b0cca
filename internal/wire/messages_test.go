package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/wire"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode %T: %v", v, err)
	}
	return string(b)
}

// TestAnswersCarryRequiredKeys holds the answers to what the strictest client
// accepts: keys in exact case, present, never null.
func TestAnswersCarryRequiredKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		resp any
		keys map[string]string // path -> kind
	}{
		{"auth refused", wire.AuthResp{Error: "no"}, map[string]string{
			"Version": "string", "ClientId": "string", "Error": "string", "Extra": "object", "Extra.Cookie": "string",
		}},
		{"bind refused", wire.BindResp{Error: "no"}, map[string]string{
			"Id": "string", "URL": "string", "Proto": "string", "Opts": "object", "Extra.Token": "string",
			"Opts.Hostname": "string", "Opts.Addr": "string", "Opts.ProxyProto": "number", "Opts.MutualTLSAtAgent": "bool",
		}},
		{"bind https", wire.BindResp{Proto: "https", Opts: json.RawMessage(`{"Hostname":null,"Auth":"u:p"}`)}, map[string]string{
			"Opts.Hostname": "string", "Opts.Auth": "string", "Opts.Subdomain": "string",
			"Opts.HostHeaderRewrite": "bool", "Opts.ProxyProto": "number",
		}},
		{"bind tcp", wire.BindResp{Proto: "tcp"}, map[string]string{"Opts.Addr": "string", "Opts.ProxyProto": "number"}},
		{"bind tls", wire.BindResp{Proto: "tls"}, map[string]string{
			"Opts.Hostname": "string", "Opts.Subdomain": "string", "Opts.ProxyProto": "number", "Opts.MutualTLSAtAgent": "bool",
		}},
		{"labelled", wire.StartTunnelWithLabelResp{Error: "no"}, map[string]string{"Id": "string"}},
		{"unbind", wire.UnbindResp{}, map[string]string{"Error": "string"}},
		{"info", wire.SrvInfoResp{}, map[string]string{"Region": "string"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := encode(t, tc.resp)
			var doc map[string]any
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				t.Fatal(err)
			}
			for path, want := range tc.keys {
				if got := kindAt(doc, path); got != want {
					t.Errorf("%s is %s, want %s in %s", path, got, want, text)
				}
			}
			if strings.Contains(text, ":null") {
				t.Errorf("answer has a null: %s", text)
			}
		})
	}
}

func kindAt(doc any, path string) string {
	for part := range strings.SplitSeq(path, ".") {
		m, ok := doc.(map[string]any)
		if !ok {
			return "not an object"
		}
		if doc, ok = m[part]; !ok {
			return "absent"
		}
	}
	switch doc.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "bool"
	case float64:
		return "number"
	case map[string]any:
		return "object"
	}
	return "list"
}

func TestRequestsInAnyCase(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Version":["3","2"],"ClientId":"c","Extra":{"Authtoken":"tok","HeartbeatInterval":10000000000,"StopUnsupportedError":"","Fingerprint":null,"New":{}}}`,
		`{"version":["3","2"],"clientid":"c","extra":{"AuthToken":"tok","heartbeatinterval":10000000000,"stopunsupportederror":""}}`,
	} {
		var a wire.Auth
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("decode %s: %v", text, err)
		}
		if a.ClientId != "c" || a.Extra.Authtoken != "tok" || a.Extra.HeartbeatInterval != 10*time.Second ||
			a.Extra.StopUnsupportedError == nil || a.Extra.RestartUnsupportedError != nil || a.Extra.Culvert != nil {
			t.Errorf("decode %s: got %+v", text, a)
		}
	}
}

func TestAuthKeysAreThoseOfTheProtocol(t *testing.T) {
	t.Parallel()
	text := encode(t, wire.Auth{Version: wire.Versions(), Extra: wire.AuthExtra{HeartbeatTolerance: 15 * time.Second}})
	for _, want := range []string{`"Version":["3","2"]`, `"ClientId":""`, `"Authtoken":""`, `"HeartbeatTolerance":15000000000`, `"StopUnsupportedError":null`, `"LegNumber":0`} {
		if !strings.Contains(text, want) {
			t.Errorf("Auth lacks %s: %s", want, text)
		}
	}
	if strings.Contains(text, "Culvert") {
		t.Errorf("Auth names an extension that was not offered: %s", text)
	}
}

func TestCompleteOpts(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, proto, opts, host, want string }{
		{"empty", "tcp", ``, "", `{"Addr":"","ProxyProto":0}`},
		{"null", "tcp", `null`, "h:1", `{"Addr":"h:1","ProxyProto":0}`},
		{"echo", "tls", `{"URL":"tls://","ProxyProto":2,"TLSTermination":{}}`, "a.b", `{"Hostname":"a.b","MutualTLSAtAgent":false,"ProxyProto":2,"Subdomain":"","TLSTermination":{},"URL":"tls://"}`},
		{"policy text stays", "tcp", `{"TrafficPolicy":"{}"}`, "", `{"Addr":"","ProxyProto":0,"TrafficPolicy":"{}"}`},
		{"policy null goes", "tcp", `{"TrafficPolicy":null}`, "", `{"Addr":"","ProxyProto":0}`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.CompleteOpts(tc.proto, json.RawMessage(tc.opts), tc.host)
			if err != nil || string(got) != tc.want {
				t.Errorf("CompleteOpts(%q, %s, %q)\ngot  %s, %v\nwant %s", tc.proto, tc.opts, tc.host, got, err, tc.want)
			}
		})
	}
	if _, err := wire.CompleteOpts("tcp", json.RawMessage(`[1]`), ""); err == nil {
		t.Error("CompleteOpts of a list: got no error")
	}
}

func TestWantedAddress(t *testing.T) {
	t.Parallel()
	tests := []struct{ opts, addr, sub string }{
		{`{"URL":"https://u","Domain":"d","Hostname":"h","Subdomain":"s"}`, "https://u", ""},
		{`{"Domain":"d","Hostname":"h","Subdomain":"s"}`, "d", ""},
		{`{"hostname":"h","Subdomain":"s"}`, "h", ""},
		{`{"Subdomain":"s"}`, "", "s"},
		{`{}`, "", ""},
	}
	for _, tc := range tests {
		var o wire.HTTPOptions
		if err := json.Unmarshal([]byte(tc.opts), &o); err != nil {
			t.Fatal(err)
		}
		if a, s := o.Wanted(); a != tc.addr || s != tc.sub {
			t.Errorf("%s: got (%q, %q), want (%q, %q)", tc.opts, a, s, tc.addr, tc.sub)
		}
	}
}

func TestMiddlewareBytesAreBase64(t *testing.T) {
	t.Parallel()
	var o wire.TLSOptions
	text := `{"MutualTLSAtEdge":{"mutual_tls_ca":"UEVN"},"TLSTermination":{"cert":"Qw==","key":"Sw=="},"IPRestriction":null}`
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	if string(o.MutualTLSAtEdge.CA) != "PEM" || string(o.TLSTermination.Cert) != "C" || string(o.TLSTermination.Key) != "K" {
		t.Errorf("got %+v %+v", o.MutualTLSAtEdge, o.TLSTermination)
	}
	if o.IPRestriction != nil {
		t.Error("a null option counts as set")
	}
	if !wire.IsSet(json.RawMessage(`{}`)) {
		t.Error("an empty object does not count as set")
	}
}

func TestFamily(t *testing.T) {
	t.Parallel()
	tests := []struct {
		agent    string
		features *wire.Features
		want     wire.Family
	}{
		{"my-app/1.2.3 (c1) ngrok-go/2.1.1", nil, wire.FamilyGo},
		{"ngrok-javascript/1.7.0 ngrok-rust/0.18.0", nil, wire.FamilyRust},
		{"culvert-go/0.1.0", &wire.Features{}, wire.FamilyCulvert},
		{"x/1 ngrok-rust/0.19.0", &wire.Features{}, wire.FamilyRust},
		{"", nil, wire.FamilyOther},
	}
	for _, tc := range tests {
		got := wire.Auth{Extra: wire.AuthExtra{UserAgent: tc.agent, Culvert: tc.features}}.Family()
		if got != tc.want {
			t.Errorf("%q: got %v, want %v", tc.agent, got, tc.want)
		}
	}
}

func TestChooseVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		offered []string
		want    string
	}{
		{[]string{"3", "2"}, "3"}, {[]string{"2"}, "2"}, {[]string{"2", "3"}, "3"}, {nil, "2"}, {[]string{"9"}, ""},
	}
	for _, tc := range tests {
		got, err := wire.ChooseVersion(tc.offered)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("ChooseVersion(%q) = %q, %v, want %q", tc.offered, got, err, tc.want)
		}
	}
}

func TestFeaturesNeedBothSides(t *testing.T) {
	t.Parallel()
	mine := wire.Features{FaultRecord: true, ReassignURL: true}
	if got := mine.Agree(nil); got != (wire.Features{}) {
		t.Errorf("Agree(nil) = %+v", got)
	}
	if got := mine.Agree(&wire.Features{FaultRecord: true}); got != (wire.Features{FaultRecord: true}) {
		t.Errorf("Agree(fault record) = %+v", got)
	}
}

// FuzzMessages feeds strangers' JSON to every request that the server decodes.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"Version":["3"],"ClientId":"","Extra":{"Authtoken":"x","HeartbeatInterval":1}}`))
	f.Add([]byte(`{"Id":"","Proto":"https","Opts":{"URL":"","ProxyProto":1,"TLSTermination":{}},"Extra":{"Bindings":null}}`))
	f.Add([]byte(`{"Labels":{"a":"b"}}`))
	f.Add([]byte(`{"TunnelId":"t","PoolingEnabled":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var auth wire.Auth
		if json.Unmarshal(data, &auth) == nil {
			_ = auth.Family()
			_, _ = wire.ChooseVersion(auth.Version)
		}
		var bind wire.Bind
		if json.Unmarshal(data, &bind) == nil {
			if opts, err := wire.CompleteOpts(bind.Proto, bind.Opts, "h"); err == nil {
				resp := wire.BindResp{Id: bind.Id, Proto: bind.Proto, Opts: opts}
				if _, err := json.Marshal(resp); err != nil {
					t.Fatalf("answer to %q cannot be encoded: %v", data, err)
				}
			}
			for _, into := range []any{&wire.HTTPOptions{}, &wire.TCPOptions{}, &wire.TLSOptions{}} {
				_ = json.Unmarshal(bind.Opts, into)
			}
		}
		for _, into := range []any{&wire.Unbind{}, &wire.StartTunnelWithLabel{}, &wire.PatchTunnelState{}} {
			_ = json.Unmarshal(data, into)
		}
	})
}
