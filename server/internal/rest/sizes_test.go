package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
)

// TestT66_LongestPolicy: the longest policy fits into a body however JSON writes it, one byte more is refused, and a
// body that no such policy needs is not read.
func TestT66_LongestPolicy(t *testing.T) {
	t.Parallel()
	g := guard(t, func(g *guarded) control.Resource { return control.NewEndpoints(g.shared, g.binder, nobodyOnline{}) })
	const rules = "on_http_request: [{actions: [{type: deny}]}]\n#"
	body := func(length int) string {
		raw, err := json.Marshal(map[string]string{"url": "https://long.internal", "traffic_policy": rules + strings.Repeat("<", length-len(rules))})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	whole := body(api.MaxPolicy)
	if len(whole) <= 1<<20 {
		t.Fatalf("the body has %d bytes, which any resource takes", len(whole))
	}
	g.make("/endpoints", whole)
	g.refused(400, fault.EndpointFieldInvalid, "POST", "/endpoints", body(api.MaxPolicy+1))
	g.refused(413, fault.BodyLarge, "POST", "/endpoints", body(2*api.MaxPolicy))
}
