package claims_test

import (
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// panicking is a compiler that has a mistake.
type panicking struct{ claims.Policies }

func (panicking) Compile(*policy.Document, policy.Target) (*policy.Program, policy.Diagnostics) {
	panic("a mistake of the compiler")
}

// A mistake of the compiler ends one message and not the server: the binder goes on.
func TestAPatchThatPanics(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Policies = panicking{cfg.Policies}
	b := newBinder(t, cfg)
	got := reserve(t, b, agent("a"), bind("https", "https://app.example.com"))
	text := denyAll
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the compiler did not panic")
			}
		}()
		_, _ = b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, TrafficPolicy: &text})
	}()
	refused(t, b, agent("b"), bind("https", "https://app.example.com"), fault.URLTaken)
}
