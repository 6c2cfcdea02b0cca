package node

import (
	"context"
	"net/netip"
	"time"

	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/lookups"
)

// authenticator lets in whoever has an authtoken. It joins package tunnel to
// package control, which do not know each other.
type authenticator struct {
	gate    *control.Gate
	lookups *lookups.Lookups
}

// Authenticate returns the agent that holds the token of a.
func (a authenticator) Authenticate(ctx context.Context, auth wire.Auth, from netip.AddrPort) (wire.Agent, error) {
	h, err := a.gate.Agent(ctx, auth.Extra.Authtoken, from.Addr().Unmap())
	if err != nil {
		return wire.Agent{}, err
	}
	if err := a.lookups.AdmitAgent(h.Account, from.Addr().Unmap()); err != nil {
		return wire.Agent{}, err
	}
	return wire.Agent{Account: h.Account, TokenID: h.ID, Principal: h.Principal}, nil
}

// revokeEvery is how often live sessions are held against the authtokens beside
// when one is taken away: an agent may have been let in just before, and appear
// just after. A revoked one ends within 5 s (reliability-security.md T63).
const revokeEvery = 2 * time.Second

// watchTokens ends the sessions of authtokens that are taken away, until ctx
// ends.
func watchTokens(ctx context.Context, roster *identity.Roster, revoke func(valid func(tokenID string) bool)) error {
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-roster.Revocations():
		case <-tick.C:
		}
		revoke(roster.Valid)
	}
}
