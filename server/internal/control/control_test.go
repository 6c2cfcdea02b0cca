package control_test

import "github.com/culvert-project/culvert/server/internal/claims/claimstest"

// What the tests of this package have in common with those of claims.
var (
	config, newPorts, newBinder, newVault = claimstest.Config, claimstest.NewPorts, claimstest.New, claimstest.Vault
	agent, agentOf                        = claimstest.Agent, claimstest.AgentOf
	bind, pooled                          = claimstest.Bind, claimstest.Pooled
	reserve, refused, release             = claimstest.Reserve, claimstest.Refused, claimstest.Release
)
