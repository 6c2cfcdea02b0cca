package node_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// TestT60_EveryPairOfAccountsByEveryWay has two accounts, each with a name of
// its own, one that the other has too, and one under a wildcard of its own, and
// asks for them from each account in every way that a policy has.
func TestT60_EveryPairOfAccountsByEveryWay(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	agents := map[string]culvert.Agent{"one": s.Agent(), "two": s.NewAccount("two").Agent()}
	for account, a := range agents {
		for _, name := range []string{"both", account, "*." + account} {
			s.ServeHTTP(a, nodetest.Text(account), culvert.WithURL("https://"+name+".internal"))
		}
		for _, name := range []string{"both", account} {
			s.ServeEcho(a, account+"\n", culvert.WithURL("tcp://"+name+".internal:7"))
		}
	}
	for caller, a := range agents {
		for owner := range agents {
			for name, mine := range map[string]bool{"both": true, owner: owner == caller, "any." + owner: owner == caller} {
				want := ""
				if mine {
					want = caller
				}
				what := fmt.Sprintf("%s asks for %s.internal", caller, name)
				wantHTTP(t, s, a, what, name, want)
				if !strings.HasPrefix(name, "any.") {
					wantTCP(t, s, a, what, name, want)
				}
			}
		}
	}
}

// wantHTTP asks for an internal name by forward-internal, by a second internal
// endpoint that forwards, and by http-request. Nothing wanted is a fault.
func wantHTTP(t *testing.T, s *nodetest.Server, a culvert.Agent, what, name, want string) {
	t.Helper()
	forward := func(name string) culvert.EndpointOption {
		return culvert.WithTrafficPolicy("on_http_request: [{actions: [{type: forward-internal, config: {url: 'https://" + name + ".internal'}}]}]")
	}
	hop := s.ServeHTTP(a, nodetest.Text("hop"), culvert.WithURL("https://hop.internal"), forward(name))
	defer hop.Close() //nolint:errcheck // the next one has its name
	for way, policy := range map[string]culvert.EndpointOption{
		"forward-internal": forward(name), "two of them": forward("hop"), "http-request": asks("https://"+name+".internal/", ""),
	} {
		ln := s.ServeHTTP(a, nodetest.Text("not forwarded"), policy)
		resp, got := s.Get(ln.URL().String())
		switch {
		case way == "http-request" && want == "":
			if got != "0 ERR_NGROK_3601 [] " {
				t.Errorf("%s by %s: got %q, want a fault", what, way, got)
			}
		case want == "":
			if code := resp.Header.Get("Ngrok-Error-Code"); code != string(fault.EndpointOffline) {
				t.Errorf("%s by %s: got %d %s, want %s", what, way, resp.StatusCode, code, fault.EndpointOffline)
			}
		case way == "http-request":
			if got != "200  [] "+want {
				t.Errorf("%s by %s: got %q, want the endpoint of %s", what, way, got, want)
			}
		case got != want:
			t.Errorf("%s by %s: got %q, want %q", what, way, got, want)
		}
		_ = ln.Close() // the next one is another
	}
}

// wantTCP asks for an internal TCP endpoint.
func wantTCP(t *testing.T, s *nodetest.Server, a culvert.Agent, what, name, want string) {
	t.Helper()
	ln := s.ServeEcho(a, "not forwarded\n", endpointTCP(), culvert.WithTrafficPolicy(
		"on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://"+name+".internal:7'}}]}]"))
	defer ln.Close() //nolint:errcheck // over
	c := s.Dial(s.HostPort(ln.URL()))
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	b, _ := io.ReadAll(c) // a refused connection may be reset
	if got := strings.TrimSpace(string(b)); got != want {
		t.Errorf("%s by a connection: got %q, want %q", what, got, want)
	}
}
