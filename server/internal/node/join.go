package node

import (
	"context"
	"net/netip"
	"time"

	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// authenticator lets in whoever has an authtoken. It joins package tunnel to
// package identity, which do not know each other.
type authenticator struct{ tokens *identity.Store }

// Authenticate returns the agent that holds the token of a.
func (a authenticator) Authenticate(_ context.Context, auth wire.Auth, _ netip.AddrPort) (wire.Agent, error) {
	r, err := a.tokens.Authenticate(auth.Extra.Authtoken)
	if err != nil {
		return wire.Agent{}, err
	}
	return wire.Agent{Account: r.Account, TokenID: r.ID}, nil
}

// revokeEvery is how often live sessions are held against the tokens; a revoked
// one ends within 5 s (reliability-security.md T63).
const revokeEvery = 2 * time.Second

// watchTokens ends the sessions of tokens that are taken away, until ctx ends.
func (p *parts) watchTokens(ctx context.Context) error {
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		valid, err := p.tokens.Valid()
		if err == nil {
			p.tunnels.Revoke(func(tokenID string) bool { return valid[tokenID] })
		} else if !failing {
			p.n.log.Error("the authtokens cannot be read; sessions go on", "err", err)
		}
		failing = err != nil
	}
}
