package apisuite

import (
	"fmt"
	"slices"
	"testing"
)

// vaults are the resources of api.md 2.8.
func vaults() []row {
	of := func(t *testing.T, w *World) string {
		t.Helper()
		return w.one(t, "vaults", Fields{"name": "of-secrets"})
	}
	return []row{
		{
			pkg: "vaults", prefix: "vault", texts: texts, filter: slices.Concat(usual, []string{"name"}),
			make:   func(_ *testing.T, _ *World, n int) Fields { return noted(n, Fields{"name": fmt.Sprint("vault-", n)}) },
			change: with(Fields{"name": "renamed/vault.of-mine_2"}),
			refuse: func(*testing.T, *World) []refused {
				return []refused{{Fields{}, 23001}, {Fields{"name": "a b"}, 23000}, {Fields{"name": "vault-1"}, 23004}}
			},
		},
		{
			pkg: "secrets", prefix: "secret", texts: texts, filter: slices.Concat(usual, []string{"name"}),
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"name": fmt.Sprint("secret-", n), "value": "hidden", "vault_id": of(t, w)})
			},
			change: with(Fields{"name": "renamed/secret.of-mine_2", "value": "hidden anew"}),
			refuse: func(t *testing.T, w *World) []refused {
				t.Helper()
				return []refused{
					{Fields{"value": "v", "vault_id": of(t, w)}, 24001},
					{Fields{"name": "a b", "value": "v", "vault_id": of(t, w)}, 24000},
					{Fields{"name": "a", "vault_id": of(t, w)}, 24003},
					{Fields{"name": "secret-1", "value": "v", "vault_id": of(t, w)}, 24005},
					{Fields{"name": "a", "value": "v", "vault_id": absent("vault")}, 24006},
					{Fields{"name": "a", "value": "v"}, 24008},
					{Fields{"name": "a", "value": "v", "vault_name": "nowhere"}, 24009},
				}
			},
		},
	}
}
