package node_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// Who holds the wildcard of a base domain must not get what clients and
// operators mean for the server (decisions.md 51).
func TestT62_WildcardsDoNotServeReservedNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, wildcardsDoNotServeReservedNames)
}

func wildcardsDoNotServeReservedNames(t *testing.T) {
	s := nodetest.Start(t, func(c *node.Config) { c.Domains = []string{"culvert.localhost", "Apps.Culvert.LOCALHOST."} })
	a := s.Agent()
	for _, u := range []string{"https://*.culvert.localhost", "http://*.culvert.localhost"} {
		s.ServeHTTP(a, nodetest.Text("wildcard"), culvert.WithURL(u))
	}
	for scheme, port := range map[string]string{"http": ":9080", "https": ":9443"} {
		for _, base := range []string{"culvert.localhost", "apps.culvert.localhost"} {
			for _, label := range []string{"api", "idp", "console", "connect", "API"} {
				host := label + "." + base
				if scheme == "https" && label == "connect" {
					continue // that is for agents, and ends in their handshake
				}
				// The certificate is that of another name which the wildcard serves: what
				// counts is the name in the request.
				resp, body := s.Get(scheme+"://other."+base+port+"/", func(r *http.Request) { r.Host = host })
				if body == "wildcard" || resp.Header.Get("Ngrok-Error-Code") != string(fault.EndpointOffline) && resp.StatusCode != http.StatusMisdirectedRequest {
					t.Errorf("%s://%s: got %d %q, want it offline", scheme, host, resp.StatusCode, body)
				}
			}
			if _, body := s.Get(scheme + "://x.api." + base + port + "/"); body != "wildcard" {
				t.Errorf("%s below a reserved name of %s: got %q", scheme, base, body)
			}
		}
	}
	for _, host := range []string{"api.culvert.localhost", "Connect.culvert.localhost", "idp.apps.culvert.localhost.", "*.culvert.localhost:9443"} {
		_, err := a.Listen(t.Context(), culvert.WithURL("https://"+host))
		want := fault.NameKept
		if host[0] == '*' {
			want = fault.URLTaken
		}
		if !fault.Has(err, want) {
			t.Errorf("bind of %s: got %v, want %s", host, err, want)
		}
	}
}
