package agent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// policies collects what binds carry.
func policies(t *testing.T) (world *world, got chan string) {
	t.Helper()
	got = make(chan string, 8)
	return newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		var o wire.HTTPOptions
		if err := json.Unmarshal(req.Opts, &o); err != nil {
			return err
		}
		got <- o.TrafficPolicy
		if strings.Contains(o.TrafficPolicy, "wrong") {
			return fault.New(fault.PolicyRefused, 1)
		}
		return nil
	}}), got
}

// The text of a file, of a URL and of the configuration is sent as it is.
func TestPolicyIsSent(t *testing.T) {
	t.Parallel()
	const text = "on_http_request: # as it is\n  - actions: [{type: deny}]\n"
	path := filepath.Join(t.TempDir(), "p.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var fetched atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/p.yml", http.StatusFound)
			return
		}
		fmt.Fprint(w, text)
	}))
	defer web.Close()
	for _, yaml := range []string{"traffic_policy_file: " + path, "traffic_policy_url: " + web.URL, fmt.Sprintf("traffic_policy: %q", text)} {
		w, got := policies(t)
		r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- name: a\n  upstream: {url: 80}\n  "+yaml+"\n")})
		r.lines.wait(t, `"online"`)
		if sent := <-got; sent != text {
			t.Errorf("%s: sent %q, want %q", yaml, sent, text)
		}
		r.stop()
		r.wait(t)
	}
	if n := fetched.Load(); n != 2 {
		t.Errorf("the URL was asked %d times, want once, and once after the redirect", n)
	}
}

// An endpoint whose policy cannot be had is not started without it.
func TestPolicyThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://policies.example/p.yml", http.StatusFound)
		case "/large":
			fmt.Fprint(w, strings.Repeat("# long\n", 1<<18))
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	for path, says := range map[string]string{"/none": "404", "/away": "use https", "/large": "larger"} {
		w, got := policies(t)
		r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- name: a\n  upstream: {url: 80}\n  traffic_policy_url: "+web.URL+path+"\n")})
		r.wait(t)
		if !fault.Has(r.err, fault.PolicyUnreadable) || !strings.Contains(r.err.Error(), says) {
			t.Errorf("%s: %v, want %s with %q", path, r.err, fault.PolicyUnreadable, says)
		}
		if len(got) > 0 {
			t.Errorf("%s: it was bound with %q", path, <-got)
		}
	}
}

// The refusal of a policy names where it came from.
func TestAgent42_RefusedPolicyNamesTheFile(t *testing.T) {
	t.Parallel()
	w, _ := policies(t)
	c := config.Definition{Name: "a", Upstream: "80", Policy: "wrong"}
	s, issues := c.Compile()
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	s[0].PolicyFrom = "dir/p.yml"
	r := start(t, agent.Config{Settings: w.settings(t), Specs: s})
	r.wait(t)
	if f := fault.From(r.err); f.Code != fault.PolicyRefused || !strings.HasPrefix(f.Message, "dir/p.yml: ") {
		t.Errorf("%v, want %s about dir/p.yml", r.err, fault.PolicyRefused)
	}
}
