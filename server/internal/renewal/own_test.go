package renewal_test

import (
	"slices"
	"testing"

	"github.com/culvert-project/culvert/server/internal/renewal"
)

// TestT17_OwnNames: wildcards where they can be had, else what somebody has
// chosen, and nothing that no authority can know.
func TestT17_OwnNames(t *testing.T) {
	t.Parallel()
	chosen := []string{"a.example.com", "*.b.example.com", "d.c.example.com", "x.culvert.localhost", "elsewhere.net", "n.corp.lan"}
	domains := []string{"example.com", "culvert.localhost", "corp.lan"}
	for _, c := range []struct {
		o    renewal.OwnNames
		want []string
	}{
		{renewal.OwnNames{}, []string{"connect.example.com", "a.example.com", "d.c.example.com"}},
		{renewal.OwnNames{API: true}, []string{"connect.example.com", "api.example.com", "a.example.com", "d.c.example.com"}},
		{renewal.OwnNames{Wildcards: true, API: true}, []string{"*.example.com", "*.b.example.com", "d.c.example.com"}},
		{renewal.OwnNames{Private: true}, []string{"connect.example.com", "connect.corp.lan", "a.example.com", "d.c.example.com", "n.corp.lan"}},
	} {
		c.o.Domains, c.o.Chosen = domains, func() []string { return chosen }
		var got []string
		for _, own := range c.o.List() {
			got = append(got, own.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, want %v", c.o, got, c.want)
		}
	}
}
