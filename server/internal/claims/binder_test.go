package claims_test

import (
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/claims/claimstest"
)

// What the tests of this package are written with.
const base = claimstest.Base

var (
	config, newPorts, newBinder = claimstest.Config, claimstest.NewPorts, claimstest.New
	agent, agentOf              = claimstest.Agent, claimstest.AgentOf
	bind, pooled, again         = claimstest.Bind, claimstest.Pooled, claimstest.Again
	reserve, refused, release   = claimstest.Reserve, claimstest.Refused, claimstest.Release
	newVault, newCompiler       = claimstest.Vault, claimstest.Compiler
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*claims.Config)
		code   fault.Code
	}{
		{"no domain", func(c *claims.Config) { c.Domains = nil }, fault.DomainInvalid},
		{"wildcard", func(c *claims.Config) { c.Domains = []string{"*.example.com"} }, fault.DomainInvalid},
		{"URL", func(c *claims.Config) { c.Domains = []string{"https://example.com"} }, fault.DomainInvalid},
		{"internal", func(c *claims.Config) { c.Domains = []string{"x.internal"} }, fault.DomainInvalid},
		{"internal itself", func(c *claims.Config) { c.Domains = []string{"internal"} }, fault.DomainInvalid},
		{"port range", func(c *claims.Config) { c.TCPFirst, c.TCPLast = 2, 1 }, fault.PortRangeInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			tt.change(&cfg)
			if _, err := claims.New(cfg); !fault.Has(err, tt.code) {
				t.Errorf("New = %v, want code %s", err, tt.code)
			}
		})
	}
}
