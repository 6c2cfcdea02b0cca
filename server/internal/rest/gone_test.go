package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// away is an authenticator without its database.
type away struct{}

func (away) APIKey(context.Context, string, netip.Addr) (*control.Caller, error) {
	return nil, fault.New(fault.DatabaseUnavailable)
}

// TestWhoHasGoneIsNotLogged: the log has what fails on our side, and not that clients do not wait for their answers.
func TestWhoHasGoneIsNotLogged(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		var log strings.Builder
		cfg := config(t)
		cfg.Auth, cfg.Logger = away{}, slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if gone {
			cancel()
		}
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/vaults", nil)
		req.Header.Set("Authorization", "Bearer one")
		req.Header.Set("Ngrok-Version", "2")
		w := httptest.NewRecorder()
		rest.New(cfg).ServeHTTP(w, req)
		if w.Code != http.StatusServiceUnavailable || (log.Len() == 0) != gone {
			t.Errorf("gone %v: got %d, and the log %q", gone, w.Code, log.String())
		}
	}
}
