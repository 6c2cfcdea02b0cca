package apisuite

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
)

// identities are the resources of api.md 2.9 to 2.11.
func identities() []row {
	user := func(pkg, prefix string, filter []string) row {
		return row{
			pkg: pkg, prefix: prefix, filter: filter,
			make:   func(_ *testing.T, _ *World, n int) Fields { return Fields{"name": fmt.Sprint(prefix, "-", n)} },
			change: func(*testing.T, *World) Fields { return Fields{"name": prefix + " renamed", "active": false} },
			refuse: func(*testing.T, *World) []refused {
				return []refused{{Fields{}, 4109}, {Fields{"name": prefix + "-1"}, 4112}}
			},
		}
	}
	owner := func(t *testing.T, w *World) string {
		t.Helper()
		return w.one(t, "service_users", Fields{"name": "owner"})
	}
	return []row{
		{
			pkg: "api_keys", prefix: "ak", texts: texts, token: true, filter: slices.Concat(usual, []string{"owner_id"}),
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"owner_id": owner(t, w)})
			},
			change: with(nil),
			refuse: func(*testing.T, *World) []refused { return []refused{{Fields{"owner_id": absent("usr")}, 634}} },
		},
		{
			pkg: "credentials", prefix: "cr", texts: texts, token: true, nothing: 606,
			list: "acl", filter: slices.Concat(usual, []string{"owner_id", "acl"}),
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"acl": []string{"bind:*.dev.example.com", "bind:b.example.com"}, "owner_id": owner(t, w)})
			},
			change: with(Fields{"acl": []string{"bind:other.example.com"}}),
			refuse: func(*testing.T, *World) []refused {
				return []refused{{Fields{"acl": []string{"nonsense"}}, 600}, {Fields{"owner_id": absent("usr")}, 634}}
			},
		},
		{
			pkg: "ssh_credentials", prefix: "sshcr", texts: texts, nothing: 606,
			list: "acl", filter: slices.Concat(usual, []string{"owner_id", "acl"}),
			make: func(t *testing.T, w *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"public_key": sshKey(), "acl": []string{"bind:*.dev.example.com"}, "owner_id": owner(t, w)})
			},
			change: with(Fields{"acl": []string{"bind:other.example.com"}}),
			refuse: func(t *testing.T, w *World) []refused {
				t.Helper()
				key := sshKey()
				w.one(t, "ssh_credentials", Fields{"public_key": key})
				return []refused{
					{Fields{"public_key": key}, 609},
					{Fields{}, 611},
					{Fields{"public_key": "ssh-ed25519 AAAA"}, 612},
					{Fields{"public_key": sshKey(), "acl": []string{"nonsense"}}, 600},
				}
			},
		},
		user("service_users", "service", []string{"id", "created_at"}),
		user("bot_users", "bot", nil),
	}
}

// sshKey returns the line of a new public key, whose private one nobody has (RFC 8709, 4).
func sshKey() string {
	const kind = "ssh-ed25519"
	blob := append([]byte{0, 0, 0, byte(len(kind))}, kind...)
	blob = append(blob, 0, 0, 0, 32)
	blob = append(blob, make([]byte, 32)...)
	_, _ = rand.Read(blob[len(blob)-32:]) // never fails
	return kind + " " + base64.StdEncoding.EncodeToString(blob) + " key@test"
}
