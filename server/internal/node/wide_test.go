package node_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

func TestLegsOfOneAgent(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	links := &breaker{Dialer: s.Dialer()}
	a := s.Agent(culvert.WithAgentLegs("127.0.0.1:9444"), culvert.WithDialer(links))
	ln := s.ServeHTTP(a, nodetest.Text("hello"))
	u := ln.URL().String()
	for tick := time.NewTicker(time.Millisecond); s.Node.Tunnels().NumSessions() != 2; <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("there is no second leg")
		}
	}
	client := s.Client()
	for i := range 20 {
		if i == 10 {
			links.first() // one leg is lost; nothing is noticed
		}
		if resp, body := s.Do(client, http.MethodGet, u, nil); body != "hello" {
			t.Errorf("request %d: got %d %q", i, resp.StatusCode, body)
		}
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if resp, _ := s.Get(u); resp.Header.Get("Ngrok-Error-Code") != string(fault.EndpointOffline) {
		t.Errorf("after closing: got %d", resp.StatusCode)
	}
}

func TestManyEndpointsAtOnce(t *testing.T) {
	t.Parallel()
	const agents, each = 10, 40
	s := nodetest.Start(t, func(c *node.Config) { c.Agents.Endpoints = each })
	var wg sync.WaitGroup
	start := time.Now()
	for i := range agents {
		a := s.Agent()
		wg.Go(func() {
			for j := range each {
				u := fmt.Sprintf("https://h%d-%d.culvert.localhost", i, j)
				if _, err := a.Listen(t.Context(), culvert.WithURL(u)); err != nil {
					t.Errorf("%s: %v", u, err)
					return
				}
			}
			if _, err := a.Listen(t.Context()); !fault.Has(err, fault.TooManyEndpointsSession) {
				t.Errorf("one endpoint more: got %v, want 324", err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d endpoints in %v", agents*each, time.Since(start))
}

func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	s.ServeHTTP(s.Agent(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-For")) //nolint:errcheck // the client checks it
	}), culvert.WithURL("http://h.culvert.localhost"))
	for from, want := range map[string]string{"10.1.2.3": "203.0.113.9", "127.0.0.1": "127.0.0.1"} {
		c := s.DialFrom(from, s.Info.HTTP.String())
		if from == "10.1.2.3" {
			src, dst := netip.MustParseAddrPort("203.0.113.9:1234"), netip.MustParseAddrPort("203.0.113.1:80")
			if _, err := c.Write(proxyproto.Append(nil, 2, src, dst)); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h.culvert.localhost\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != want {
			t.Errorf("from %s: got client %q, %v, want %s", from, body, err, want)
		}
		resp.Body.Close()
	}
}
