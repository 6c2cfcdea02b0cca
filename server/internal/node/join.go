package node

import (
	"context"
	"net/netip"

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
