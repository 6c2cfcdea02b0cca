package route_test

import (
	"crypto/tls"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

func pooled(t testing.TB, n int) (*route.Table, []*route.Endpoint) {
	t.Helper()
	tab := route.NewTable()
	members := make([]*route.Endpoint, n)
	for i := range members {
		members[i] = online(t, "https://app.example.com")
		members[i].Pooled = true
		tab = tab.With(members[i])
	}
	return tab, members
}

func TestEndpoints31_PicksAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	tab, members := pooled(t, 3)
	p := tab.LookupName("app.example.com", 443)
	counts := map[*route.Endpoint]int{}
	for range 3000 {
		counts[p.Pick()]++
	}
	for i, m := range members {
		if counts[m] != 1000 {
			t.Errorf("member %d was picked %d times of 3000, want 1000", i, counts[m])
		}
	}
}

func TestNextIsWhatPickWillChoose(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		tab, _ := pooled(t, n)
		p := tab.LookupName("app.example.com", 443)
		for i := range 10 {
			next := p.Next()
			if p.Next() != next || p.PickTLS("") != next {
				t.Errorf("%d members, turn %d: the pick is not the one announced", n, i)
			}
		}
	}
}

func TestEndpoints33_MemberThatLeftIsNotPicked(t *testing.T) {
	t.Parallel()
	tab, members := pooled(t, 3)
	p := tab.Without(members[1]).LookupName("app.example.com", 443)
	for range 100 {
		if p.Pick() == members[1] {
			t.Fatal("picked a member that has left")
		}
	}
}

func TestTurnGoesOnWhenMembersChange(t *testing.T) {
	t.Parallel()
	tab, members := pooled(t, 2)
	last := map[*route.Endpoint]int{}
	for range 1000 {
		e := online(t, "https://app.example.com")
		last[tab.With(e).Without(e).LookupName("app.example.com", 443).Pick()]++
	}
	for i, m := range members {
		if last[m] != 500 {
			t.Errorf("member %d was picked %d times of 1000, want 500", i, last[m])
		}
	}
}

func TestPickTLSKeepsToTheSameSettings(t *testing.T) {
	t.Parallel()
	tab, members := pooled(t, 4)
	members[1].TLS = &route.TLSSettings{ID: "mutual"}
	members[3].TLS = &route.TLSSettings{ID: "mutual"}
	p := tab.LookupName("app.example.com", 443)
	tests := []struct {
		id   string
		want map[*route.Endpoint]bool
	}{
		{"", map[*route.Endpoint]bool{members[0]: true, members[2]: true}},
		{"mutual", map[*route.Endpoint]bool{members[1]: true, members[3]: true}},
		{"other", map[*route.Endpoint]bool{nil: true}},
	}
	for _, tt := range tests {
		got := map[*route.Endpoint]bool{}
		for range 20 {
			got[p.PickTLS(tt.id)] = true
		}
		if len(got) != len(tt.want) {
			t.Errorf("PickTLS(%q) chose among %d, want %d", tt.id, len(got), len(tt.want))
		}
		for e := range got {
			if !tt.want[e] {
				t.Errorf("PickTLS(%q) chose a member with other settings", tt.id)
			}
		}
	}
}

func TestTLSConfigIsBuiltOnce(t *testing.T) {
	t.Parallel()
	s := &route.TLSSettings{ID: "x"}
	builds := 0
	build := func(*route.TLSSettings) *tls.Config {
		builds++
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	first, second := s.Config(build), s.Config(build)
	if first != second || builds != 1 {
		t.Errorf("built %d times, want once", builds)
	}
}

func TestPoolKey(t *testing.T) {
	t.Parallel()
	tab, members := pooled(t, 2)
	p := tab.At(members[0].Key)
	if p.Key() != members[0].Key || p.Scheme() != endpoint.HTTPS || len(p.Members()) != 2 {
		t.Errorf("At gives %+v", p)
	}
}
