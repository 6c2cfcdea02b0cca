package note_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/note"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t *testing.T) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(note.Definitions()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/*.txtar")
}

// TestLogsAreBounded records more than an event may hold.
func TestLogsAreBounded(t *testing.T) {
	t.Parallel()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := policy.Parse("", []byte("on_tcp_connect: [{actions: [{type: log, config: {metadata: {a: "+strings.Repeat("x", 5000)+"}}}]}]"))
	p, found := c.Compile(d, policy.Target{})
	if found.Failed() {
		t.Fatal(found)
	}
	x := policy.NewExchange(p.Env(), &policy.Conn{})
	for range 10 {
		if _, err := p.Run(t.Context(), policy.OnTCPConnect, x); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(x.Logs)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Logs) != 4 || x.Logs[3]["truncated"] != true || len(text) > policy.MaxLogs+200 {
		t.Errorf("got %d entries of %d bytes, the last %.40v; want 3 and a mark", len(x.Logs), len(text), x.Logs[len(x.Logs)-1])
	}
}
