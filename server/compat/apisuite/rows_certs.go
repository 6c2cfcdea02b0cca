package apisuite

import (
	"slices"
	"testing"

	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// certificates are the resources of api.md 2.4 and 2.5.
func certificates() []row {
	pair := func(t *testing.T) Fields {
		t.Helper()
		cert, key := nodetest.PEM(t, nodetest.Certificate(t, "shop.example.com"))
		return Fields{"certificate_pem": cert + "\n", "private_key_pem": key}
	}
	return []row{
		{
			pkg: "tls_certificates", prefix: "cert", texts: texts, filter: slices.Concat(usual, []string{"subject_common_name", "serial_number"}),
			make: func(t *testing.T, _ *World, n int) Fields {
				t.Helper()
				return noted(n, pair(t))
			},
			change: with(nil),
			refuse: func(t *testing.T, _ *World) []refused {
				t.Helper()
				mine, other := pair(t), pair(t)
				return []refused{
					{Fields{"private_key_pem": mine["private_key_pem"]}, 1922},
					{Fields{"certificate_pem": mine["certificate_pem"]}, 1901},
					{Fields{"certificate_pem": mine["certificate_pem"], "private_key_pem": other["private_key_pem"]}, 1923},
					{Fields{"certificate_pem": mine["private_key_pem"], "private_key_pem": mine["certificate_pem"]}, 1924},
				}
			},
		},
		{
			pkg: "certificate_authorities", prefix: "ca", texts: texts, filter: slices.Concat(usual, []string{"subject_common_name"}),
			make: func(t *testing.T, _ *World, n int) Fields {
				t.Helper()
				return noted(n, Fields{"ca_pem": pair(t)["certificate_pem"]})
			},
			change: with(nil),
			refuse: func(t *testing.T, _ *World) []refused {
				t.Helper()
				return []refused{{Fields{}, 1919}, {Fields{"ca_pem": "nonsense"}, 1920}, {Fields{"ca_pem": pair(t)["private_key_pem"]}, 1911}}
			},
		},
	}
}
