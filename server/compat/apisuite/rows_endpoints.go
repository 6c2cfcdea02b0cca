package apisuite

import (
	"fmt"
	"slices"
	"testing"
)

// answering is a policy that answers by itself. How it is written has to last.
const answering = "# kept as it is\non_http_request:\n  -   actions:\n      - type: custom-response\n        config: {status_code: 200, body: 'as it stands'}   \n\n"

// endpoints are the resources of api.md 2.1 and 2.2.
func endpoints() []row {
	return []row{
		{
			pkg: "reserved_domains", prefix: "rd", texts: texts, nothing: 422, list: "resolves_to",
			filter: slices.Concat(usual, []string{"domain", "region", "cname_target", "acme_challenge_cname_target"}),
			make: func(_ *testing.T, w *World, n int) Fields {
				return noted(n, Fields{"domain": fmt.Sprintf("shop-%d.%s", n, []string{w.Server.Domain, "example.org"}[n%2])})
			},
			change: with(Fields{"resolves_to": []any{map[string]any{"value": "global"}}}),
			refuse: func(_ *testing.T, w *World) []refused {
				return []refused{{Fields{"domain": "shop-1.example.org"}, 413}, {Fields{"domain": "*." + w.Server.Domain}, 416}}
			},
		},
		{
			pkg: "endpoints", prefix: "ep", texts: texts, nothing: 18004,
			make: func(_ *testing.T, _ *World, n int) Fields {
				return noted(n, Fields{
					"type": "cloud", "url": fmt.Sprintf("https://cloud-%d.internal", n), "traffic_policy": answering, "bindings": []string{"internal"}, "pooling_enabled": true,
				})
			},
			change: with(Fields{
				"url": "https://moved.internal", "traffic_policy": "on_http_request: [{actions: [{type: deny}]}]", "pooling_enabled": false,
			}),
			refuse: func(*testing.T, *World) []refused {
				url := "https://other.internal"
				return []refused{
					{Fields{"url": url}, 18011},
					{Fields{"traffic_policy": answering}, 18015},
					{Fields{"url": url, "traffic_policy": "on_http_request: [{actions: [{type: nonsense}]}]"}, 18002},
					{Fields{"url": url, "traffic_policy": answering, "bindings": []string{"internal", "public"}}, 18007},
					{Fields{"url": url, "traffic_policy": answering, "type": "edge"}, 248},
					{Fields{"url": "https://x.nobody-has-it.example.com", "traffic_policy": answering}, 18006},
					{Fields{"url": "https://cloud-1.internal", "traffic_policy": answering}, 18017},
				}
			},
		},
	}
}
