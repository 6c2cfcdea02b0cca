package edge

import (
	"crypto/tls"
	"testing"

	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// TestPolicy45_NoAuthorityIsLeft verifies clients against nobody: the system's
// authorities must not stand in.
func TestPolicy45_NoAuthorityIsLeft(t *testing.T) {
	t.Parallel()
	c := terminateConfig(&policy.Terminate{ClientAuth: tls.RequireAndVerifyClientCert}, &route.TLSSettings{}, true)
	if c.ClientCAs == nil || c.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("got authorities %v and %v, want an empty pool that every client has to pass", c.ClientCAs, c.ClientAuth)
	}
}
