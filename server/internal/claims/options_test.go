package claims_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// pair makes a self-signed certificate and its key, both PEM.
func pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder})
}

func opts(t *testing.T, m map[string]any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What is not built is refused by name, never ignored (decisions.md 27).
func TestOptionsNotBuilt(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	tests := []struct {
		name  string
		proto string
		opts  m
		code  fault.Code
	}{
		{"both", "http", m{"Policy": m{}, "TrafficPolicy": "{}"}, fault.PolicyTwice},
		{"Auth", "https", m{"Auth": "user:password"}, fault.OptionNotBuilt},
		{"OAuth", "https", m{"OAuth": m{"provider": "x"}}, fault.OptionNotBuilt},
		{"OIDC", "https", m{"OIDC": m{}}, fault.OptionNotBuilt},
		{"WebhookVerification", "http", m{"WebhookVerification": m{}}, fault.OptionNotBuilt},
		{"WebsocketTCPConverter", "http", m{"WebsocketTCPConverter": m{}}, fault.OptionNotBuilt},
		{"HostHeaderRewrite", "http", m{"HostHeaderRewrite": true}, fault.OptionNotBuilt},
	}
	b := newBinder(t, config(t))
	for _, tt := range tests {
		t.Run(tt.proto+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.Reserve(t.Context(), agent("a"), wire.Bind{Proto: tt.proto, Opts: opts(t, tt.opts)})
			if !fault.Has(err, tt.code) {
				t.Fatalf("Reserve(%v) = %v, want code %s", tt.opts, err, tt.code)
			}
			if tt.code == fault.OptionNotBuilt && !strings.Contains(err.Error(), tt.name) {
				t.Errorf("refusal %q does not name %s", err, tt.name)
			}
		})
	}
	t.Run("IPPolicyRef", func(t *testing.T) {
		t.Parallel()
		refused(t, b, agent("a"), wire.Bind{Proto: "https", Extra: wire.BindExtra{IPPolicyRef: "ipp_1"}}, fault.OptionNotBuilt)
	})
	t.Run("null and empty are not set", func(t *testing.T) {
		t.Parallel()
		reserve(t, b, agent("a"), wire.Bind{Proto: "https", Opts: opts(t, m{
			"TrafficPolicy": " \n", "Policy": nil, "BasicAuth": nil, "OAuth": nil, "Compression": nil, "RequestHeaders": nil, "Auth": "", "MutualTLSCA": nil,
		})})
	})
}

func TestOptionsInvalid(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	cert, key := pair(t)
	_, otherKey := pair(t)
	ca := m{"mutual_tls_ca": cert}
	tests := []struct {
		name  string
		proto string
		opts  m
		code  fault.Code
	}{
		{"PROXY version", "tcp", m{"ProxyProto": 3}, fault.OptionInvalid},
		{"negative PROXY version", "https", m{"ProxyProto": -1}, fault.OptionInvalid},
		{"wrong type", "https", m{"ProxyProto": "2"}, fault.BindInvalid},
		{"mTLS without TLS", "http", m{"MutualTLSCA": ca}, fault.OptionInvalid},
		{"mTLS, no certificate", "https", m{"MutualTLSCA": m{}}, fault.OptionInvalid},
		{"mTLS, not PEM", "https", m{"MutualTLSCA": m{"mutual_tls_ca": []byte("x")}}, fault.OptionInvalid},
		{"mTLS, a key", "https", m{"MutualTLSCA": m{"mutual_tls_ca": key}}, fault.OptionInvalid},
		{"mTLS, text behind", "https", m{"MutualTLSCA": m{"mutual_tls_ca": append(append([]byte{}, cert...), "-----BEGIN CERT"...)}}, fault.OptionInvalid},
		{"mTLS at the edge without termination", "tls", m{"MutualTLSAtEdge": ca}, fault.OptionInvalid},
		{"mTLS at the edge, empty", "tls", m{"TLSTermination": m{}, "MutualTLSAtEdge": m{}}, fault.OptionInvalid},
		{"certificate without key", "tls", m{"TLSTermination": m{"cert": cert}}, fault.OptionInvalid},
		{"key without certificate", "tls", m{"TLSTermination": m{"key": key}}, fault.OptionInvalid},
		{"pair that does not fit", "tls", m{"TLSTermination": m{"cert": cert, "key": otherKey}}, fault.OptionInvalid},
		{"sealed key", "tls", m{"TLSTermination": m{"cert": cert, "sealed_key": []byte("x")}}, fault.OptionInvalid},
		{"too large", "https", m{"x": strings.Repeat("x", 270_000)}, fault.OptionInvalid},
	}
	b := newBinder(t, config(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, b, agent("a"), wire.Bind{Proto: tt.proto, Opts: opts(t, tt.opts)}, tt.code)
		})
	}
	for _, raw := range []string{`[]`, `"x"`, `{`} {
		refused(t, b, agent("a"), wire.Bind{Proto: "https", Opts: json.RawMessage(raw)}, fault.BindInvalid)
	}
	refused(t, b, agent("a"), wire.Bind{Proto: "https", ForwardsProto: "spdy"}, fault.UpstreamProtocol)
	refused(t, b, agent("a"), wire.Bind{Proto: "https", Extra: wire.BindExtra{Metadata: strings.Repeat("ä", 4097)}}, fault.MetadataTooLong)
	refused(t, b, agent("a"), wire.Bind{Proto: "https", Extra: wire.BindExtra{Description: strings.Repeat("x", 256)}}, fault.DescriptionTooLong)
	refused(t, b, agent("a"), wire.Bind{Proto: "https", Extra: wire.BindExtra{Name: strings.Repeat("x", 256)}}, fault.OptionInvalid)
}

func TestOptionsThatWork(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	cert, key := pair(t)
	cas := append(append([]byte{}, cert...), cert...)
	b := newBinder(t, config(t))

	h2 := reserve(t, b, agent("a"), wire.Bind{
		Proto: "https", ForwardsProto: "http2", ForwardsTo: strings.Repeat("x", 5000), Opts: opts(t, m{"ProxyProto": 2}),
		Extra: wire.BindExtra{Name: "n", Description: "d", Metadata: "m", PoolingEnabled: true},
	})
	if !h2.HTTP2 || h2.ProxyProto != 2 || !h2.Pooled || h2.Name != "n" || h2.Description != "d" || h2.Metadata != "m" || h2.TLS != nil {
		t.Errorf("Reserve = %+v, want HTTP2, ProxyProto 2, pooled and the texts", h2)
	}
	if got := len(h2.ForwardsTo); got != 1024 {
		t.Errorf("ForwardsTo has %d bytes, want it cut to 1024", got)
	}
	if got := reserve(t, b, agent("a"), wire.Bind{Proto: "tcp", ForwardsProto: "http2"}); got.HTTP2 {
		t.Error("a tcp endpoint has HTTP2 set")
	}
	mtls := reserve(t, b, agent("a"), wire.Bind{Proto: "https", Opts: opts(t, m{"MutualTLSCA": m{"mutual_tls_ca": cas}})})
	if mtls.TLS == nil || len(mtls.TLS.ClientCAs) != 2 {
		t.Errorf("MutualTLSCA gave %+v, want both authorities", mtls.TLS)
	}
	plain := reserve(t, b, agent("a"), wire.Bind{Proto: "tls", Opts: opts(t, m{"TLSTermination": nil})})
	if plain.TLS != nil {
		t.Errorf("tls passthrough has TLS settings %+v", plain.TLS)
	}
	own := reserve(t, b, agent("a"), wire.Bind{Proto: "tls", Opts: opts(t, m{"TLSTermination": m{}})})
	if own.TLS == nil || !own.TLS.Terminate || own.TLS.Certificate != nil {
		t.Errorf("TLSTermination {} gave %+v, want termination with the server's certificate", own.TLS)
	}
	full := reserve(t, b, agent("a"), wire.Bind{Proto: "tls", Opts: opts(t, m{"TLSTermination": m{"cert": cert, "key": key}, "MutualTLSAtEdge": m{"mutual_tls_ca": cert}})})
	if full.TLS == nil || !full.TLS.Terminate || full.TLS.Certificate == nil || full.TLS.Certificate.PrivateKey == nil || len(full.TLS.ClientCAs) != 1 {
		t.Errorf("TLSTermination gave %+v, want certificate with key, and the authority", full.TLS)
	}
}

// Whatever an agent sends, it gets a URL of the server or a coded refusal.
func FuzzReserve(f *testing.F) {
	f.Add("https", `{"URL":"https://h.example.com","ProxyProto":1}`, "http2", "public", "token")
	f.Add("tcp", `{"Addr":"localhost:20001"}`, "", "", "")
	f.Add("tls", `{"TLSTermination":{"cert":"eA==","key":"eA=="},"MutualTLSAtEdge":{"mutual_tls_ca":"eA=="}}`, "", "", "")
	f.Add("http", `{"Subdomain":"a/b","Hostname":null}`, "http1", "internal", "{}")
	f.Add("https", `[`, "", "kubernetes", `{"a":"ac","i":"ep_1","b":"public","s":"https","h":"x.example.com","p":443}`)
	f.Add("https", `{"TrafficPolicy":"on_http_request: [{actions: [{type: deny}]}]"}`, "", "", "")
	f.Add("http", `{"Policy":{"inbound":[{"actions":[{"type":"deny","config":"e30="}]}]}}`, "", "", "")
	f.Add("https", `{"BasicAuth":{"credentials":[{"username":"u","cleartext_password":"${password"}]},"IPRestriction":{"allow_cidrs":["::/0"]}}`, "", "", "")
	f.Add("http", `{"UserAgentFilter":{"allow":["(?i)a\u007f"],"deny":["\\Q"]},"CircuitBreaker":{"error_threshold":1e-9},"Compression":{}}`, "", "", "")
	f.Add("http", `{"RequestHeaders":{"add":["a:${req.method}",":"],"remove":["b"]},"ResponseHeaders":{"add":["c:\ufeffd"]}}`, "", "", "")
	b, err := claims.New(claims.Config{Sealer: nullSealer{}, Policies: newCompiler(f), Domains: []string{"example.com"}, TCPFirst: 20000, TCPLast: 20009})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, proto, raw, forwards, binding, token string) {
		w := wire.Bind{Proto: proto, Opts: json.RawMessage(raw), ForwardsProto: forwards, Extra: wire.BindExtra{Token: token}}
		if binding != "" {
			w.Extra.Bindings = []string{binding}
		}
		got, err := b.Reserve(t.Context(), agent("a"), w)
		if err != nil {
			if code := fault.From(err).Code; code == fault.Internal {
				t.Errorf("Reserve = %v, want a coded refusal", err)
			}
			return
		}
		if _, err := endpoint.ParseURL(got.URL, ""); err != nil {
			t.Errorf("Reserve gave the URL %q: %v", got.URL, err)
		}
		if !json.Valid(got.Opts) {
			t.Errorf("Reserve gave the options %q", got.Opts)
		}
		b.Release(t.Context(), got.TunnelID, agent("a"), true)
	})
}
