package apisuite

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// apiKey is the first API key of every server of this package.
const apiKey = "2apisuite0apisuite0apisuite_7apisuite0apisuite0ap"

// Server is a whole server whose API is under test.
type Server struct {
	// URL is where its API is, and Key opens it.
	URL, Key string
	// Domain is its base domain.
	Domain string
	// Transport leads to it.
	Transport http.RoundTripper

	node   *nodetest.Server
	agents int // online, of crowd's
}

// Start starts a server that ends with the test.
func Start(t *testing.T) *Server {
	t.Helper()
	n := nodetest.Start(t, func(c *node.Config) {
		c.BootstrapAPIKey = apiKey
		c.AdvertiseHTTPPort, c.AdvertiseHTTPSPort = 80, 443
		c.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	return &Server{URL: n.Info.APIURL, Key: apiKey, Domain: n.Info.Domains[0], Transport: n.Client().Transport, node: n}
}

// World is a client at work on a server, with what it sends and gets on record.
type World struct {
	Server *Server
	Client *Client

	rec  *recorder
	made map[string]string // ids of what one has made
}

// Open makes a client of the server.
func (s *Server) Open(mk Make) *World { return s.OpenVia(mk, s.URL, s.Transport) }

// OpenVia makes a client that finds the server at another URL.
func (s *Server) OpenVia(mk Make, url string, via http.RoundTripper) *World {
	rec := &recorder{base: via}
	return &World{Server: s, Client: mk(url, s.Key, &http.Client{Transport: rec}), rec: rec, made: map[string]string{}}
}

// judge holds what went over the wire to the rules of all answers, and returns it.
func (w *World) judge(t *testing.T) []exchange {
	t.Helper()
	seen := w.rec.take()
	for i := range seen {
		if wrong := seen[i].faults(); wrong != nil {
			t.Errorf("%s", strings.Join(wrong, "\n"))
		}
	}
	return seen
}

// refused requires that a call was refused with a code, 0 for any, and that the client understands it.
func (w *World) refused(t *testing.T, what string, err error, code int) {
	t.Helper()
	f, ok := w.Client.Failure(err)
	switch {
	case !ok:
		t.Errorf("%s: error %v, want one of the client's own type", what, err)
	case f.Operation == "" || f.Details["unmarshal_error"] != "" || f.Status < http.StatusBadRequest:
		t.Errorf("%s: %+v; want a status and an operation id", what, f)
	case code != 0 && !w.Client.HasCode(err, code):
		t.Errorf("%s: status %d, code %q (%s); want code %d", what, f.Status, f.Code, f.Msg, code)
	}
}

// gone requires that a call found nothing.
func (w *World) gone(t *testing.T, what string, err error) {
	t.Helper()
	w.refused(t, what, err, 0)
	if !w.Client.NotFound(err) {
		t.Errorf("%s: %v, want that the client takes it for not found", what, err)
	}
}
