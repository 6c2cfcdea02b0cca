package node_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// What endpoints do is in the answer of /usage at once, and there after a restart; accounts see their own.
func TestUsageByTheAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nodetest.Start(t)
		ln := s.ServeHTTP(s.Agent(), nodetest.Text("hello"), culvert.WithURL("https://app.culvert.localhost"))
		for range 3 {
			s.Get(ln.URL().String())
		}
		time.Sleep(2 * time.Second)
		want := func(a *nodetest.API, query string, rows int, requests float64) (first map[string]any) {
			t.Helper()
			got := a.List("/usage?" + query)
			if len(got) != rows {
				t.Fatalf("/usage?%s has %d rows, want %d: %v", query, len(got), rows, got)
			}
			if rows == 0 {
				return nil
			}
			if got[0]["http_requests"] != requests {
				t.Errorf("/usage?%s has %v, want %v requests", query, got[0], requests)
			}
			return got[0]
		}
		api := s.API()
		for _, group := range []string{"hour", "day", "month"} {
			row := want(api, "group="+group, 1, 3)
			if row["active_endpoint_hours"] != 1.0 || row["data_out_bytes"].(float64) < 300 || row["endpoint"] != nil { //nolint:forcetypeassert // a number
				t.Errorf("by %s: %v", group, row)
			}
		}
		row := want(api, "endpoints=true", 1, 3)
		ref, _ := row["endpoint"].(map[string]any)
		if ref["uri"] != s.Info.APIURL+"/endpoints/"+fmt.Sprint(ref["id"]) || row["url"] != "https://app.culvert.localhost" {
			t.Errorf("the row of the endpoint is %v", row)
		}
		want(api, "endpoint="+fmt.Sprint(ref["id"]), 1, 3)
		want(api, "endpoint=ep_other", 0, 0)
		want(s.NewAccount("two").API, "", 0, 0)
		for query, code := range map[string]string{
			"group=year": "ERR_NGROK_215", "from=yesterday": "ERR_NGROK_215", "endpoint=x": "ERR_NGROK_223", "limit=1": "ERR_NGROK_231",
			"from=2026-01-02&to=2026-01-01": "ERR_CULVERT_1740",
		} {
			if status, _, answer := api.Do(http.MethodGet, "/usage?"+query, ""); status != http.StatusBadRequest || answer["error_code"] != code {
				t.Errorf("/usage?%s: %d %v, want %s", query, status, answer, code)
			}
		}
		s.Restart()
		want(s.API(), "group=hour", 1, 3)
	})
}
