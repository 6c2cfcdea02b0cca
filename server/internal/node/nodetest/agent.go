package nodetest

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/culvert-project/culvert"
)

// patience bounds every single step of a test.
const patience = 30 * time.Second

// dialer dials the server's network.
type dialer struct {
	s    *Server
	from string
}

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

func (d dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.s.Net.DialFrom(ctx, network, d.from, addr)
}

// Dialer returns a dialer of the server's network. Every name leads to the
// server.
func (s *Server) Dialer() culvert.Dialer { return dialer{s, "127.0.0.1"} }

// Agent returns an agent for the server. It is disconnected when the test ends.
func (s *Server) Agent(opts ...culvert.AgentOption) culvert.Agent {
	s.tb.Helper()
	all := []culvert.AgentOption{
		culvert.WithAuthtoken(Token),
		culvert.WithAgentConnectURL(s.Info.ConnectURL),
		culvert.WithDialer(s.Dialer()),
		culvert.WithCAFingerprint(s.Info.CAFingerprint),
	}
	a, err := culvert.NewAgent(append(all, opts...)...)
	if err != nil {
		s.tb.Fatalf("new agent: %v", err)
	}
	s.tb.Cleanup(func() { _ = a.Disconnect() }) // may be disconnected already
	return a
}

// Listen brings an endpoint online.
func (s *Server) Listen(a culvert.Agent, opts ...culvert.EndpointOption) culvert.EndpointListener {
	s.tb.Helper()
	// The context of the first call would end the agent's session.
	ln, err := a.Listen(context.Background(), opts...)
	if err != nil {
		s.tb.Fatalf("listen: %v", err)
	}
	return ln
}

// ServeHTTP brings an endpoint online that answers with h. It returns the
// endpoint.
func (s *Server) ServeHTTP(a culvert.Agent, h http.Handler, opts ...culvert.EndpointOption) culvert.EndpointListener {
	s.tb.Helper()
	ln := s.Listen(a, opts...)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) }) // ends with the listener
	s.tb.Cleanup(func() {
		_ = srv.Close()
		wg.Wait()
	})
	return ln
}

// ServeEcho brings an endpoint online that sends back what it gets, with name in
// front.
func (s *Server) ServeEcho(a culvert.Agent, name string, opts ...culvert.EndpointOption) culvert.EndpointListener {
	s.tb.Helper()
	ln := s.Listen(a, opts...)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close() //nolint:errcheck // the test sees what was echoed
				if _, err := io.WriteString(c, name); err == nil {
					_, _ = io.Copy(c, c)
				}
			})
		}
	})
	s.tb.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln
}

// Text is a handler that answers with text.
func Text(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}
