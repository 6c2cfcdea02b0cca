//go:build unix

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
)

// few is a server with few descriptors, and what tests do to it.
type few struct {
	t      *testing.T
	server *process
	limit  int

	http, agents, api, pin string
	web                    *http.Client
}

// startFew starts a server that may open so many descriptors.
func startFew(t *testing.T, limit int, ports string) *few {
	t.Helper()
	home := t.TempDir()
	script := filepath.Join(home, "limited")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nulimit -n $1\nshift\nexec \"$@\"\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	name, err := filepath.Rel(bin, script)
	if err != nil {
		t.Fatal(err)
	}
	addrs := freeAddrs(t, 4)
	data := filepath.Join(home, "data")
	p := start(t, home, nil, name, fmt.Sprint(limit), filepath.Join(bin, "culvertd"), "serve", "--data-dir", data,
		"--http-addr", addrs[0], "--https-addr", addrs[1], "--agent-addr", addrs[2], "--api-addr", addrs[3],
		"--tcp-ports", ports, "--log-level", "debug", "--log-format", "logfmt")
	s := &few{t: t, server: p, limit: limit, http: addrs[0], agents: addrs[2], api: addrs[3]}
	s.pin = p.await(`ca_fingerprint=(sha256:[0-9a-f]{64})`)[1]
	if s.web, err = client(filepath.Join(data, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	s.web.Timeout = patience
	return s
}

// get makes a request on a connection of its own.
func (s *few) get(url string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	resp, err := s.web.Do(req)
	if err != nil {
		s.t.Fatalf("GET %s: %v", url, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// answers checks that the API answers.
func (s *few) answers(while string) {
	s.t.Helper()
	if got := s.get("http://" + s.api + "/healthz"); got != http.StatusOK {
		s.t.Errorf("%s: the API answers %d, want 200", while, got)
	}
}

// serves checks that the API answers and that clients reach an endpoint.
func (s *few) serves(while, endpoint string) {
	s.t.Helper()
	s.answers(while)
	if got := s.get(endpoint); got != http.StatusOK {
		s.t.Errorf("%s: clients get %d, want 200", while, got)
	}
}

// flood opens more connections than the server may have, and says nothing on
// them.
func (s *few) flood(addr string) (end func()) {
	s.t.Helper()
	var all []net.Conn
	for range s.limit {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, c)
	}
	return func() {
		for _, c := range all {
			_ = c.Close()
		}
	}
}

func (s *few) agent() culvert.Agent {
	s.t.Helper()
	a, err := culvert.NewAgent(culvert.WithAuthtoken(token), culvert.WithAgentConnectURL(s.agents), culvert.WithCAFingerprint(s.pin))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = a.Disconnect() })
	return a
}

// ports binds TCP endpoints until there is no room for another one.
func (s *few) ports(a culvert.Agent) (end func()) {
	s.t.Helper()
	var all []culvert.EndpointListener
	for {
		ln, err := a.Listen(context.Background(), culvert.WithURL("tcp://"))
		if err != nil {
			f := fault.From(err)
			if f.Code != fault.TCPPortFailed || !strings.Contains(f.Message, "too many open files") {
				s.t.Errorf("after %d ports: got %v, want %s for the lack of descriptors", len(all), err, fault.TCPPortFailed)
			}
			break
		}
		all = append(all, ln)
	}
	if len(all) < 2 || len(all) > s.limit/4 {
		s.t.Errorf("%d ports of TCP endpoints are open, want a share of %d", len(all), s.limit)
	}
	return func() {
		for _, ln := range all {
			_ = ln.Close()
		}
	}
}

// manyAgents connects agents, more than there are descriptors, and waits until
// some of them are online.
func (s *few) manyAgents() (end func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	online := make(chan struct{}, s.limit)
	for range s.limit {
		a := s.agent()
		wg.Go(func() {
			if err := a.Connect(ctx); err == nil {
				online <- struct{}{}
				<-ctx.Done()
			}
			_ = a.Disconnect()
		})
	}
	for range s.limit / 16 {
		<-online
	}
	return func() { cancel(); wg.Wait() }
}

// A server with few descriptors divides them: whoever takes all that he gets,
// the others are served on, and accepting never fails for want of descriptors.
func TestT73_FewDescriptors(t *testing.T) {
	t.Parallel()
	for limit, ports := range map[int]string{64: "24000-24399", 256: "24400-24799"} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			s := startFew(t, limit, ports)
			u := sdkEndpoint(t, s.agents, s.pin)
			s.serves("at rest", u)

			end := s.flood(s.agents)
			s.serves("while silent agents come", u)
			end()
			end = s.manyAgents()
			s.serves("while agents come", u)
			end()

			a := s.agent()
			endPorts := s.ports(a)
			s.serves("with ports open", u)
			endAgents, endClients := s.flood(s.agents), s.flood(s.http)
			s.answers("while all come")
			endClients()
			s.serves("when clients have gone", u)
			endAgents()
			endPorts()
			s.ports(s.agent())()
			s.serves("in the end", u)
			if log := s.server.text(); strings.Contains(log, "accept") && strings.Contains(log, "accept4: too many open files") {
				t.Error("accepting failed for want of descriptors")
			}
		})
	}
}
