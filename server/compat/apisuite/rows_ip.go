package apisuite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// addresses are the resources of api.md 2.3, 2.6, 2.7 and 2.16.
func addresses() []row {
	policy := func(t *testing.T, w *World, n int) string {
		t.Helper()
		return w.one(t, "ip_policies", Fields{"description": fmt.Sprint("needed ", n)})
	}
	return []row{
		{
			pkg: "reserved_addrs", prefix: "ra", texts: texts, nothing: 506, filter: slices.Concat(usual, []string{"addr", "region"}),
			make:   func(_ *testing.T, _ *World, n int) Fields { return noted(n, nil) },
			change: with(nil),
			refuse: func(*testing.T, *World) []refused {
				return []refused{
					{Fields{"region": "moon"}, 500},
					{Fields{"description": strings.Repeat("x", 256)}, 504},
					{Fields{"metadata": strings.Repeat("x", 4097)}, 505},
				}
			},
		},
		{
			pkg: "agent_ingresses", prefix: "agin", texts: texts, filter: slices.Concat(usual, []string{"domain"}),
			make: func(_ *testing.T, _ *World, n int) Fields {
				return noted(n, Fields{"domain": fmt.Sprintf("connect-%d.example.net", n), "certificate_management_policy": map[string]any{"authority": "letsencrypt", "private_key_type": "rsa"}})
			},
			change: with(Fields{"certificate_management_policy": map[string]any{"authority": "letsencrypt", "private_key_type": "ecdsa"}}),
			refuse: func(_ *testing.T, w *World) []refused {
				return []refused{
					{Fields{"domain": "*.connect.example.net"}, 6704},
					{Fields{"domain": "net"}, 6704},
					{Fields{"domain": "a b.example.net"}, 6704},
					{Fields{"domain": "agents." + w.Server.Domain}, 6705},
					{Fields{"domain": "connect-1.example.net"}, 6706},
					{Fields{"domain": "c.example.net", "description": strings.Repeat("x", 256)}, 6700},
					{Fields{"domain": "c.example.net", "metadata": strings.Repeat("x", 4097)}, 6701},
				}
			},
		},
		{
			pkg: "ip_policies", prefix: "ipp", texts: texts, nothing: 1400, filter: usual,
			make:   func(_ *testing.T, _ *World, n int) Fields { return noted(n, nil) },
			change: with(nil),
		},
		{
			pkg: "ip_policy_rules", prefix: "ipr", texts: texts, nothing: 1401,
			filter: slices.Concat(usual, []string{"ip_policy", "ip_policy.id", "cidr", "action"}),
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"ip_policy_id": policy(t, w, 1), "cidr": fmt.Sprintf("10.%d.0.0/16", n), "action": []string{"allow", "deny"}[n%2]})
			},
			change: with(Fields{"cidr": "2001:db8::/32"}),
			refuse: func(t *testing.T, w *World) []refused {
				t.Helper()
				p := policy(t, w, 1)
				return []refused{
					{Fields{"cidr": "10.9.0.0/16", "action": "allow"}, 1414},
					{Fields{"ip_policy_id": p, "cidr": "10.9.0.0/16"}, 1405},
					{Fields{"ip_policy_id": p, "cidr": "10.9.0.0/16", "action": "maybe"}, 1422},
					{Fields{"ip_policy_id": p, "cidr": "everywhere/0", "action": "allow"}, 1406},
					{Fields{"ip_policy_id": p, "cidr": "10.9.0.1/16", "action": "allow"}, 1409},
					{Fields{"ip_policy_id": p, "cidr": "10.9.0.0", "action": "allow"}, 1413},
					{Fields{"ip_policy_id": p, "cidr": "10.1.0.0/16", "action": "allow"}, 1408},
				}
			},
		},
		{
			pkg: "ip_restrictions", prefix: "ipx", texts: texts, count: 3, list: "ip_policy_ids", emptyList: 1804, filter: usual,
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"type": []string{"dashboard", "agent", "endpoints"}[n], "ip_policy_ids": []string{policy(t, w, 2), policy(t, w, 1)}})
			},
			change: func(t *testing.T, w *World) Fields {
				t.Helper()
				return with(Fields{"enforced": true, "ip_policy_ids": []string{policy(t, w, 3), policy(t, w, 2), policy(t, w, 1)}})(t, w)
			},
			refuse: func(t *testing.T, w *World) []refused {
				t.Helper()
				ids := []string{policy(t, w, 1)}
				return []refused{
					{Fields{"type": "api"}, 1804},
					{Fields{"type": "api", "ip_policy_ids": []string{absent("ipp")}}, 1801},
					{Fields{"type": "agent", "ip_policy_ids": ids}, 1802},
					{Fields{"type": "all", "ip_policy_ids": ids}, 1803},
				}
			},
		},
	}
}
