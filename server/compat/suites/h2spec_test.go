package suites_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// h2specCases is how many cases h2spec 2.2.1 has with -S, h2specLeast how many of them have to pass.
const (
	h2specCases = 146
	h2specLeast = 143
)

// h2specKnown are the cases that fail, and why that stands.
var h2specKnown = map[string]string{
	"http2/6.5.3/1":   "net/http refuses SETTINGS that name one parameter twice (decisions.md 22)",
	"http2/8.1.2.2/1": "net/http answers a connection-specific field with 400, which RFC 9113 8.1.1 allows",
	"http2/8.1.2.2/2": "net/http answers a TE field other than trailers with 400, which RFC 9113 8.1.1 allows",
}

// TestH2spec runs h2spec with its strict cases against the https listener. The http listener speaks no HTTP/2 (T06).
func TestH2spec(t *testing.T) {
	t.Parallel()
	w := start(t, edge.Limits{})
	w.forward(t, "https://"+name, web(t, nodetest.Text(strings.Repeat("h2spec", 100))))
	c := &config.Config{
		Host: name, Port: int(w.Info.HTTPSPort), Path: "/", Timeout: 5 * time.Second, MaxHeaderLen: 4000,
		Strict: true, TLS: true, Insecure: true,
	}
	cases := make(map[string]*spec.TestCase)
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		h2specGroup(g, cases)
	}
	var passed atomic.Int64
	var all sync.WaitGroup
	room := make(chan struct{}, 8) // most of the time is spent waiting
	for id, tc := range cases {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if h2specCase(t, id, tc, c) {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	scores.add(t, "h2spec 2.2.1 -S, https", fmt.Sprintf("%d of %d", passed.Load(), len(cases)))
	if len(cases) != h2specCases {
		t.Errorf("there are %d cases, want %d", len(cases), h2specCases)
	}
	if got := passed.Load(); got < h2specLeast {
		t.Errorf("%d cases passed, want %d or more", got, h2specLeast)
	}
}

// h2specGroup puts the cases of a group and of those below it into cases, by the ids that h2spec gives them.
func h2specGroup(g *spec.TestGroup, cases map[string]*spec.TestCase) {
	for i, tc := range slices.Concat(g.Tests, g.StrictTests) {
		cases[fmt.Sprintf("%s/%d", g.ID(), i+1)] = tc
	}
	for _, sub := range g.Groups {
		h2specGroup(sub, cases)
	}
}

// h2specCase runs a case and reports whether it passed. One that is skipped did not.
func h2specCase(t *testing.T, id string, tc *spec.TestCase, c *config.Config) bool {
	t.Helper()
	conn, err := spec.Dial(c)
	if err == nil {
		defer conn.Close()
		err = tc.Run(c, conn)
	}
	reason, known := h2specKnown[id]
	switch {
	case err == nil && known:
		t.Errorf("%s: %s: it passes; take it off the list of known failures", id, tc.Desc)
	case err != nil && known:
		t.Logf("%s: %s: known to fail: %s", id, tc.Desc, reason)
	case err != nil:
		t.Errorf("%s: %s\n%s\n%v", id, tc.Desc, tc.Requirement, err)
	}
	return err == nil
}

// TestH2spec_NoH2C shows that the http listener is nothing for h2spec: it answers the preface of HTTP/2 with an error of
// HTTP/1.
func TestH2spec_NoH2C(t *testing.T) {
	t.Parallel()
	w := start(t, edge.Limits{})
	w.forward(t, "http://"+name, web(t, nodetest.Text("h1")))
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(w.httpURL())
	if err == nil {
		resp.Body.Close()
		t.Errorf("GET with prior knowledge of HTTP/2: got %s, want an error", resp.Status)
	}
}
