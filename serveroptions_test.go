package culvert_test

import (
	"encoding/json"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// What only the server can do travels in the bind's options.
func TestServerOptionsTravel(t *testing.T) {
	t.Parallel()
	binds := make(chan wire.Bind, 1)
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		binds <- req
		return nil
	}})
	a := w.agent()

	w.listenOn(a, culvert.WithURL("tls://a.example"), culvert.WithServerTLSTermination([]byte("cert"), []byte("key")), culvert.WithServerMutualTLS([]byte("ca")))
	var tlsOpts wire.TLSOptions
	decodeOpts(t, <-binds, &tlsOpts)
	if tlsOpts.TLSTermination == nil || string(tlsOpts.TLSTermination.Cert) != "cert" || string(tlsOpts.TLSTermination.Key) != "key" {
		t.Errorf("TLSTermination %+v, want certificate and key", tlsOpts.TLSTermination)
	}
	if tlsOpts.MutualTLSAtEdge == nil || string(tlsOpts.MutualTLSAtEdge.CA) != "ca" {
		t.Errorf("MutualTLSAtEdge %+v, want the CA", tlsOpts.MutualTLSAtEdge)
	}

	w.listenOn(a, culvert.WithURL("http://"), culvert.WithSubdomain("app"))
	var httpOpts wire.HTTPOptions
	bind := <-binds
	decodeOpts(t, bind, &httpOpts)
	if bind.Proto != "http" || httpOpts.URL != "" || httpOpts.Subdomain != "app" {
		t.Errorf("proto %s, URL %q, subdomain %q; want http, none, app", bind.Proto, httpOpts.URL, httpOpts.Subdomain)
	}

	w.listenOn(a, culvert.WithURL("https://b.example"), culvert.WithServerMutualTLS([]byte("ca")))
	httpOpts = wire.HTTPOptions{}
	decodeOpts(t, <-binds, &httpOpts)
	if httpOpts.MutualTLSCA == nil || string(httpOpts.MutualTLSCA.CA) != "ca" {
		t.Errorf("MutualTLSCA %+v, want the CA", httpOpts.MutualTLSCA)
	}
}

func decodeOpts(t *testing.T, b wire.Bind, into any) {
	t.Helper()
	if err := json.Unmarshal(b.Opts, into); err != nil {
		t.Fatal(err)
	}
}

func TestServerOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	tests := map[string][]culvert.EndpointOption{
		"termination of https":   {culvert.WithURL("https://a.example"), culvert.WithServerTLSTermination(nil, nil)},
		"clients of passthrough": {culvert.WithURL("tls://a.example"), culvert.WithServerMutualTLS([]byte("ca"))},
		"clients of http":        {culvert.WithURL("http://a.example"), culvert.WithServerMutualTLS([]byte("ca"))},
		"clients of tcp":         {culvert.WithURL("tcp://"), culvert.WithServerMutualTLS([]byte("ca"))},
		"subdomain of tcp":       {culvert.WithURL("tcp://"), culvert.WithSubdomain("a")},
		"subdomain and name":     {culvert.WithURL("https://a.example"), culvert.WithSubdomain("a")},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := culvert.NewAgent()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Listen(t.Context(), opts...); err == nil {
				t.Error("Listen succeeded, want a refusal before anything is opened")
			}
		})
	}
}
