package claims_test

import (
	"context"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// acls are the rules of authtokens by their ids.
type acls map[string][]string

func (a acls) ACL(tokenID string) []string { return a[tokenID] }

// TestAPI_34_ACLAtBind, which is scenario 42 of endpoints.md too: what an agent may bind follows from its
// authtoken, also when that changes while the agent is connected.
func TestAPI_34_ACLAtBind(t *testing.T) {
	t.Parallel()
	rules := acls{"cr_dev": {"bind:*.dev." + base}}
	cfg := config(t)
	cfg.ACL = rules
	b := newBinder(t, cfg)
	a := agent("dev")
	a.TokenID = "cr_dev"
	for _, name := range []string{"a.dev.", "a.b.dev.", "*.dev."} {
		reserve(t, b, a, bind("https", "https://"+name+base))
	}
	for url, want := range map[string]fault.Code{
		"https://dev." + base: fault.ACLName, "https://example.com": fault.ACLName, "https://x." + base: fault.ACLName, "https://x.internal": fault.ACLName,
		"tcp://" + base + ":20001": fault.ACLAddress, "tcp://x.internal:22": fault.ACLName,
	} {
		proto, _, _ := strings.Cut(url, "://")
		if _, err := b.Reserve(t.Context(), a, bind(proto, url)); !fault.Has(err, want) {
			t.Errorf("%s: got %v, want %s", url, err, want)
		}
	}
	if _, err := b.Reserve(t.Context(), a, bind("tcp", "tcp://")); !fault.Has(err, fault.ACLRandomAddress) {
		t.Errorf("random tcp: got %v, want %s", err, fault.ACLRandomAddress)
	}
	if got := reserve(t, b, a, bind("https", "")); !strings.HasSuffix(got.Host, ".dev."+base) {
		t.Errorf("random name = %s, want one under dev.%s", got.Host, base)
	}
	rules["cr_dev"] = []string{"bind:only." + base}
	if _, err := b.Reserve(t.Context(), a, bind("https", "")); !fault.Has(err, fault.ACLName) {
		t.Errorf("random name with exact rules alone: got %v, want %s", err, fault.ACLName)
	}
	other := wire.Agent{Account: "ac", SessionID: "ts_other", TokenID: "cr_other"}
	reserve(t, b, other, bind("tcp", "tcp://"))
}

// nested has no name for anybody but what is right under a base domain, as a server with two accounts.
type nested struct{ claims.Names }

func (nested) Judge(_ context.Context, _, name string) error {
	return fault.New(fault.NameNested, name, "dev."+base)
}

// A random name that the rules can only place where the account has none is refused by the rules: the agent has named
// nothing.
func TestACLOfARandomNameOfOthers(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.ACL, cfg.Names = acls{"cr_dev": {"bind:*.dev." + base}}, nested{}
	a := agent("dev")
	a.TokenID = "cr_dev"
	if _, err := newBinder(t, cfg).Reserve(t.Context(), a, bind("https", "")); !fault.Has(err, fault.ACLName) {
		t.Errorf("got %v, want %s", err, fault.ACLName)
	}
}

// A resume token is no way around the rules.
func TestT68_ACLAtResume(t *testing.T) {
	t.Parallel()
	rules := acls{}
	cfg := config(t)
	cfg.ACL = rules
	b := newBinder(t, cfg)
	a := agent("a")
	a.TokenID = "cr_a"
	for _, w := range []wire.Bind{bind("https", ""), bind("https", "https://a."+base), bind("tcp", "tcp://")} {
		delete(rules, "cr_a")
		bound := reserve(t, b, a, w)
		release(b, a, bound, false)
		rules["cr_a"] = []string{"bind:b." + base}
		a.SessionID += "x"
		if _, err := b.Reserve(t.Context(), a, again(w, bound)); !fault.Has(err, fault.ACLName) && !fault.Has(err, fault.ACLAddress) {
			t.Errorf("%s resumed: got %v, want a refusal of the ACL", bound.URL, err)
		}
	}
}

var _ claims.ACLs = acls{}
