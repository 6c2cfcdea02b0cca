package node_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// TestF33_StormOfPolicies changes the policies of many endpoints at once: each change is in force when it is
// answered, and an endpoint beside them answers all the time. How long that takes beside 100 000 others is measured
// by make bench-control.
func TestF33_StormOfPolicies(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	calm := cloudURL(a, a.Create("/endpoints", map[string]any{"url": "https://calm.culvert.localhost", "traffic_policy": says("calm")}))
	const writers, changes = 8, 20
	var storm, beside sync.WaitGroup
	for i := range writers {
		id := a.Create("/endpoints", map[string]any{"url": fmt.Sprintf("https://storm-%d.culvert.localhost", i), "traffic_policy": says("first")})
		url := cloudURL(a, id)
		storm.Go(func() {
			for j := range changes {
				text := fmt.Sprintf("%d of %d", j, i)
				if status, _, e := a.Do("PATCH", "/endpoints/"+id, jsonOf(t, map[string]any{"traffic_policy": says(text)})); status != 200 {
					t.Errorf("PATCH: %d %v", status, e)
					return
				}
				wantAnswer(t, s, url, 200, text)
			}
		})
	}
	over := make(chan struct{})
	beside.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				wantAnswer(t, s, calm, 200, "calm")
			}
		}
	})
	storm.Wait()
	close(over)
	beside.Wait()
}
