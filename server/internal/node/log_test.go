package node_test

import (
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// TestLogNamesOneThingByOneWord: a line of one package can be joined to those
// of another by the keys of docs/glossary.md.
func TestLogNamesOneThingByOneWord(t *testing.T) {
	t.Parallel()
	var log buffer
	s := nodetest.Start(t, func(c *node.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.AccessLog = c.Logger
	})
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("x"))
	s.Get(ln.URL().String())
	s.Stop()
	for msg, words := range map[string][]string{
		`"agent online"`:     {"addr=", "session=", "user_agent="},
		`"agent offline"`:    {"addr=", "session="},
		`"endpoint online"`:  {"addr=", "session=", "url=", "endpoint=" + ln.TunnelID()},
		`"endpoint offline"`: {"session=", "url=", "endpoint=" + ln.TunnelID()},
		`request`:            {"client=", "scheme=", "duration=", "endpoint=" + ln.TunnelID()},
		`"server stopped"`:   {"duration="},
	} {
		line := ""
		for l := range strings.Lines(log.String()) {
			if strings.Contains(l, " msg="+msg+" ") {
				line = l
			}
		}
		for _, w := range words {
			if !strings.Contains(line, " "+w) {
				t.Errorf("msg=%s: got line %q, want %s in it", msg, line, w)
			}
		}
	}
}

// TestLogTellsHowAnAgentEnded: a farewell does not read like a failure.
func TestLogTellsHowAnAgentEnded(t *testing.T) {
	t.Parallel()
	var log buffer
	s := nodetest.Start(t, func(c *node.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	leaves, stays := s.Agent(), s.Agent()
	s.ServeHTTP(leaves, nodetest.Text("x"))
	s.ServeHTTP(stays, nodetest.Text("y"))
	if err := leaves.Disconnect(); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(log.String(), `msg="agent left" addr=`) {
		if t.Context().Err() != nil {
			t.Fatalf("no farewell in the log:\n%s", log.String())
		}
		runtime.Gosched()
	}
	s.Stop()
	if n := strings.Count(log.String(), `msg="agent left"`); n != 1 {
		t.Errorf("got %d farewells, want 1:\n%s", n, log.String())
	}
	if strings.Count(log.String(), `msg="agent offline"`) != 1 || strings.Contains(log.String(), "EOF") {
		t.Errorf("the end by the server is not told as such, once:\n%s", log.String())
	}
}
