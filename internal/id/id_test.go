package id_test

import (
	"regexp"
	"testing"

	"github.com/culvert-project/culvert/internal/id"
)

func TestNew(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ep_[a-z2-7]{26}$`)
	seen := make(map[string]bool)
	for range 1000 {
		got := id.New("ep")
		if !form.MatchString(got) {
			t.Fatalf("New(ep) = %q, want the form %s", got, form)
		}
		if seen[got] {
			t.Fatalf("New(ep) = %q twice", got)
		}
		seen[got] = true
	}
}
