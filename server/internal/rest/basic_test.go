package rest_test

import (
	"encoding/base64"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// With Basic the key is user name or password, whatever the other one is (api.md 1.2).
func TestBasicAuthorization(t *testing.T) {
	t.Parallel()
	const key = "cvak_abcdefghijklmnopqrstuvwxyz234567"
	c := serveAs(t, func(cfg *rest.Config) { cfg.Auth = keys{key: control.Caller{Account: "ac_1"}} })
	for _, text := range []string{key + ":", key + ":x", ":" + key, "x:" + key} {
		header := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
		if status, e := c.do("GET", "/vaults", "", header); status != 200 {
			t.Errorf("%q: got %d %v, want 200", text, status, e)
		}
	}
}

// A list that cannot go on from where it is asked to does not begin anew.
func TestBeforeWhatIsNoID(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for _, query := range []string{"before_id=vault", "before_id=vault_", "beforeId=1"} {
		if status, e := c.do("GET", "/vaults?"+query, ""); status != 400 || e["error_code"] != string(fault.ReferenceInvalid) {
			t.Errorf("%s: got %d %v, want 400 %s", query, status, e, fault.ReferenceInvalid)
		}
	}
}
