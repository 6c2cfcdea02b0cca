package standard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// TestLimit_SizesOfDocuments: what is as large as allowed compiles, and one byte
// more does not.
func TestLimit_SizesOfDocuments(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	const rule = "on_http_request: [{actions: [{type: deny}]}]\n"
	for _, tt := range []struct {
		name string
		most int
		doc  func(n int) string
	}{
		{"document", policy.MaxDocument, func(n int) string { return rule + strings.Repeat("#", n-len(rule)) }},
		{"expression", 16 << 10, func(n int) string {
			return "on_http_request: [{expressions: [\"req.method == 'G'" + strings.Repeat(" ", n-len("req.method == 'G'")) + "\"], actions: [{type: deny}]}]"
		}},
		{"pattern", 1 << 10, func(n int) string {
			return "on_http_request: [{actions: [{type: redirect, config: {from: '" + strings.Repeat("a", n) + "', to: /b}}]}]"
		}},
		{"program of a pattern", 900, func(n int) string {
			return fmt.Sprintf("on_http_request: [{actions: [{type: redirect, config: {from: '(aaaaaaaaaa){%d}', to: /b}}]}]", n)
		}},
		{"patterns of an expression", 9, func(n int) string {
			return "on_http_request: [{expressions: [\"" + strings.Repeat("req.method.matches('(?:aaaaaaaaaa){100}') || ", n) + "false\"], actions: [{type: deny}]}]"
		}},
		{"patterns of a document", 49, func(n int) string {
			return "on_http_request:\n" + strings.Repeat("- {expressions: [\"req.method.matches('(?:aaaaaaaaaa){100}')\"], actions: [{type: deny}]}\n", n)
		}},
		{"patterns of actions", 49, func(n int) string {
			return "on_http_request:\n" + strings.Repeat("- actions: [{type: redirect, config: {from: '(?:aaaaaaaaaa){100}', to: /b}}]\n", n)
		}},
	} {
		for n, sound := range map[int]bool{tt.most: true, tt.most + max(1, tt.most/8): false} {
			d, found := policy.Parse("", []byte(tt.doc(n)))
			if !found.Failed() {
				_, more := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public})
				found = append(found, more...)
			}
			if found.Failed() == sound {
				t.Errorf("%s of %d: sound %t, want %t: %.300s", tt.name, n, !sound, sound, found)
			}
		}
	}
}
