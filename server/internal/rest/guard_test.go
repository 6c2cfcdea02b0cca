package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// guarded is an API with all that traffic asks of what it governs.
type guarded struct {
	*client
	lookups  *lookups.Lookups
	names    *control.Names
	binder   *claims.Binder
	shared   *control.Shared
	compiler *policy.Compiler
	certs    *control.Certificates
	issuance *control.Issuance
	logged   *lines
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const guardBase = "culvert.localhost"

// guard serves the API of two accounts, of which one is the administrator's. Requests come from 127.0.0.1.
func guard(t *testing.T, more ...func(g *guarded) control.Resource) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{client: &client{t: t, key: "one"}, logged: &lines{}}
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(g.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	registry, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		t.Fatal(err)
	}
	if g.compiler, err = policy.NewCompiler(registry); err != nil {
		t.Fatal(err)
	}
	g.lookups, g.names = lookups.New(keys, log), control.NewNames(guardBase)
	g.binder, err = claims.New(claims.Config{
		Sealer: keys, Policies: g.compiler, Domains: []string{guardBase}, Names: g.names, KnowsIPPolicy: g.lookups.KnowsIPPolicy, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := control.DomainsConfig{Domains: []string{guardBase}, Region: "here"}
	g.certs = control.NewCertificates(keys, log, cfg)
	follower := store.NewFollower(db, log, g.lookups, g.names, g.certs)
	g.shared = &control.Shared{Store: db, Now: time.Now, Settle: follower.Wait}
	g.issuance = control.NewIssuance(g.shared, keys, cfg)
	accounts := identity.Accounts()
	if _, err := db.Update(t.Context(), func(tx store.Tx) error {
		for _, account := range []string{identity.DefaultAccount, "ac_2"} {
			if err := accounts.Put(tx, &store.Object[identity.Account]{ID: account, Account: account}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := follower.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan error, 1)
	go func() { followed <- follower.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-followed })
	resources := []control.Resource{
		control.NewDomains(g.shared, g.binder, cfg), control.NewTLSCertificates(g.shared, keys), control.NewCertificateAuthorities(g.shared),
		control.NewIPPolicies(g.shared), control.NewIPPolicyRules(g.shared), control.NewIPRestrictions(g.shared),
		control.NewVaults(g.shared), control.NewSecrets(g.shared, keys),
	}
	for _, m := range more {
		resources = append(resources, m(g))
	}
	server := httptest.NewServer(rest.New(rest.Config{
		Auth: keysOf(), Admit: g.lookups.AdmitAPI, Resources: resources, Logger: log,
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func keysOf() keys {
	return keys{
		"one": {Account: identity.DefaultAccount, Principal: "usr_1", Write: true, Admin: true},
		"two": {Account: "ac_2", Principal: "usr_2", Write: true, Admin: true},
	}
}

// make creates an object and returns its id.
func (g *guarded) make(path, body string) string {
	g.t.Helper()
	return g.must(201, "POST", path, body)["id"].(string)
}

// refused is a request that is refused with a status and a code.
func (g *guarded) refused(status int, code fault.Code, method, path, body string, more ...string) map[string]any {
	g.t.Helper()
	got, e := g.do(method, path, body, more...)
	have, _ := e["error_code"].(string)
	if got != status || have != string(code) {
		g.t.Errorf("%s %s %s = %d %v, want %d %s", method, path, body, got, e, status, code)
	}
	return e
}

const asTwo = "Authorization: Bearer two"

func TestIPPolicyRules(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p := g.make("/ip_policies", `{"description":"office","metadata":"m"}`)
	rule := func(cidr, action string) string {
		return fmt.Sprintf(`{"ip_policy_id":%q,"cidr":%q,"action":%q}`, p, cidr, action)
	}
	r := g.must(201, "POST", "/ip_policy_rules", rule(" 2001:DB8:0::/32 ", "allow"))
	if r["cidr"] != "2001:db8:0::/32" || r["action"] != "allow" || r["ip_policy"].(map[string]any)["id"] != p || r["ip_policy"].(map[string]any)["uri"] != g.url+"/ip_policies/"+p {
		t.Errorf("rule = %v, want the range as sent but for case and spaces", r)
	}
	id := r["id"].(string)
	for _, tt := range []struct {
		body   string
		status int
		code   fault.Code
	}{
		{`{"cidr":"10.0.0.0/8","action":"allow"}`, 400, fault.IPRulePolicy},
		{rule("10.0.0.0/8", ""), 400, fault.IPRuleParameter},
		{fmt.Sprintf(`{"ip_policy_id":%q,"action":"deny"}`, p), 400, fault.IPRuleParameter},
		{rule("10.0.0.0/8", "maybe"), 400, fault.IPRuleAction},
		{rule("10.0.0.0/33", "allow"), 400, fault.IPRuleCIDR},
		{rule("here", "allow"), 400, fault.IPRuleCIDR},
		{rule("10.0.0.0", "allow"), 400, fault.IPRuleMask},
		{rule("10.0.0.1/8", "allow"), 400, fault.IPRuleHostBits},
		{rule("2001:db8::/32", "deny"), 400, fault.IPRuleTaken},
		{strings.Replace(rule("10.0.0.0/8", "allow"), p, id2("ipp"), 1), 400, fault.IPRulePolicy},
		{strings.Replace(rule("10.0.0.0/8", "allow"), "}", `,"description":"`+strings.Repeat("x", 256)+`"}`, 1), 400, fault.IPRuleDescription},
	} {
		g.refused(tt.status, tt.code, "POST", "/ip_policy_rules", tt.body)
	}
	if e := g.refused(400, fault.IPRuleHostBits, "POST", "/ip_policy_rules", rule("10.0.0.1/8", "allow")); !strings.Contains(e["msg"].(string), "10.0.0.0/8") {
		t.Errorf("host bits: %v, want the network suggested", e["msg"])
	}
	g.refused(400, fault.IPRuleUpdateEmpty, "PATCH", "/ip_policy_rules/"+id, `{}`)
	g.refused(400, fault.IPPolicyUpdateEmpty, "PATCH", "/ip_policies/"+p, `{"description":null}`)
	g.refused(404, fault.IPRuleNotFound, "GET", "/ip_policy_rules/"+id2("ipr"), "")
	g.refused(404, fault.IPPolicyNotFound, "GET", "/ip_policies/"+id2("ipp"), "")
	g.must(204, "DELETE", "/ip_policies/"+p, "")
	g.refused(404, fault.IPRuleNotFound, "GET", "/ip_policy_rules/"+id, "")
	if list := g.must(200, "GET", "/ip_policy_rules", "")["ip_policy_rules"].([]any); len(list) != 0 {
		t.Errorf("rules of a deleted policy: %v, want none", list)
	}
}

// id2 is the id of something that does not exist.
func id2(prefix string) string { return id.NewSorted(prefix) }

// TestAPI_25_IPPolicyFlip changes a policy as the operator does, and asks at each step whom it lets in.
func TestAPI_25_IPPolicyFlip(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p := g.make("/ip_policies", `{}`)
	rules := map[string]string{}
	for i := range 10 {
		cidr := fmt.Sprintf("10.%d.0.0/16", i)
		rules[cidr] = g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":%q,"action":"allow"}`, p, cidr))
	}
	flipped := netip.MustParseAddr("10.3.0.1")
	other := netip.MustParseAddr("10.4.0.1")
	in := func(a netip.Addr) bool {
		r := g.lookups.IPPolicy(identity.DefaultAccount, p)
		_, denied := r.Deny.Find(a)
		_, allowed := r.Allow.Find(a)
		return allowed && !denied
	}
	if !in(flipped) || !in(other) {
		t.Fatal("the policy does not let in what it allows")
	}
	g.must(204, "DELETE", "/ip_policy_rules/"+rules["10.3.0.0/16"], "")
	if in(flipped) || !in(other) {
		t.Error("between the two steps the address is let in, or others are not")
	}
	g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"10.3.0.0/16","action":"deny"}`, p))
	if in(flipped) || !in(other) {
		t.Error("after the flip the address is let in, or others are not")
	}
	g.must(200, "PATCH", "/ip_policy_rules/"+rules["10.4.0.0/16"], `{"cidr":"10.14.0.0/16"}`)
	if in(other) || !in(netip.MustParseAddr("10.14.0.1")) {
		t.Error("a changed range is not in force when the answer comes")
	}
	g.refused(400, fault.IPRuleCIDR, "POST", "/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"everywhere/0","action":"allow"}`, p))
}

// TestAPI_38_Restrictions holds agents, clients and callers off.
func TestAPI_38_Restrictions(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p := g.make("/ip_policies", `{}`)
	g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"192.0.2.0/24","action":"allow"}`, p))
	g.refused(400, fault.RestrictionEmpty, "POST", "/ip_restrictions", `{"type":"api"}`)
	g.refused(400, fault.RestrictionEmpty, "POST", "/ip_restrictions", `{"type":"api","ip_policy_ids":[]}`)
	g.refused(400, fault.RestrictionType, "POST", "/ip_restrictions", fmt.Sprintf(`{"type":"all","ip_policy_ids":[%q]}`, p))
	g.refused(400, fault.RestrictionPolicyUnknown, "POST", "/ip_restrictions", fmt.Sprintf(`{"type":"api","ip_policy_ids":[%q]}`, id2("ipp")))
	g.refused(400, fault.RestrictionPolicies, "POST", "/ip_restrictions", fmt.Sprintf(`{"type":"api","ip_policy_ids":[%s]}`, strings.Repeat(`"`+p+`",`, 100)+`"`+p+`"`))

	body := fmt.Sprintf(`{"type":"api","enforced":true,"ip_policy_ids":[%q]}`, p)
	g.refused(400, fault.RestrictionShutsOut, "POST", "/ip_restrictions", body)
	warning := g.must(201, "POST", "/ip_restrictions", strings.Replace(body, "true", "false", 1))
	if warning["enforced"] != false || len(warning["ip_policies"].([]any)) != 1 {
		t.Errorf("restriction = %v", warning)
	}
	g.refused(400, fault.RestrictionTaken, "POST", "/ip_restrictions", strings.Replace(body, "true", "false", 1))
	g.must(200, "GET", "/ip_policies", "") // it only warns
	if !strings.Contains(g.logged.String(), "would refuse an address") {
		t.Error("a restriction that is not enforced has warned of nothing")
	}
	path := "/ip_restrictions/" + warning["id"].(string)
	g.refused(400, fault.RestrictionShutsOut, "PATCH", path, `{"enforced":true}`)
	g.refused(400, fault.IPPolicyInUse, "DELETE", "/ip_policies/"+p, "")
	g.must(200, "PATCH", path+"?force=true", `{"enforced":true}`)
	g.refused(403, fault.APISourceRefused, "GET", "/ip_policies", "")
	if status, _ := g.do("GET", "/ip_policies", "", asTwo); status != 200 {
		t.Errorf("the other account gets %d, want 200", status)
	}

	agent := netip.MustParseAddr("198.51.100.1")
	if err := g.lookups.AdmitAgent(identity.DefaultAccount, agent); err != nil {
		t.Errorf("agent without a restriction: %v", err)
	}
	resource := control.NewIPRestrictions(g.shared) // the server's own commands are not shut out
	caller := keysOf()["one"]
	for _, what := range []string{"agent", "endpoints"} {
		if _, err := resource.Create(t.Context(), &caller, fmt.Appendf(nil, `{"type":%q,"enforced":true,"ip_policy_ids":[%q]}`, what, p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.lookups.AdmitAgent(identity.DefaultAccount, agent); !fault.Has(err, fault.SourceRefused) {
		t.Errorf("agent from %s: %v, want 115", agent, err)
	}
	if err := g.lookups.AdmitClient(identity.DefaultAccount, agent); !fault.Has(err, fault.ClientSourceRefused) {
		t.Errorf("client from %s: %v, want 3205", agent, err)
	}
	for _, account := range []string{identity.DefaultAccount, "ac_2"} {
		from := map[string]string{identity.DefaultAccount: "192.0.2.9", "ac_2": "198.51.100.1"}[account]
		if err := g.lookups.AdmitClient(account, netip.MustParseAddr(from)); err != nil {
			t.Errorf("client of %s from %s: %v", account, from, err)
		}
	}
}

// TestRulesKeepTheCaller: no change of a rule shuts who makes it out of the API, as none of the restriction does.
func TestRulesKeepTheCaller(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p := g.make("/ip_policies", `{}`)
	rule := func(cidr, action string) string {
		return fmt.Sprintf(`{"ip_policy_id":%q,"cidr":%q,"action":%q}`, p, cidr, action)
	}
	mine := "/ip_policy_rules/" + g.make("/ip_policy_rules", rule("127.0.0.0/8", "allow"))
	others := "/ip_policy_rules/" + g.make("/ip_policy_rules", rule("192.0.2.0/24", "allow"))
	restriction := "/ip_restrictions/" + g.make("/ip_restrictions", fmt.Sprintf(`{"type":"api","enforced":true,"ip_policy_ids":[%q]}`, p))
	g.refused(400, fault.RestrictionShutsOut, "DELETE", mine, "")
	g.refused(400, fault.RestrictionShutsOut, "PATCH", mine, `{"cidr":"198.51.100.0/24"}`)
	g.refused(400, fault.RestrictionShutsOut, "POST", "/ip_policy_rules", rule("127.0.0.1/32", "deny"))
	g.must(204, "DELETE", others, "")
	second := "/ip_policy_rules/" + g.make("/ip_policy_rules", rule("127.0.0.1/32", "allow"))
	g.must(204, "DELETE", mine, "")
	g.refused(400, fault.RestrictionShutsOut, "DELETE", second, "")
	g.must(200, "PATCH", restriction, `{"enforced":false}`)
	g.must(204, "DELETE", second, "")
}

// run is what a policy answers for an account.
func (g *guarded) run(p *policy.Program, account, from string) string {
	g.t.Helper()
	x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.AddrPortFrom(netip.MustParseAddr(from), 1)})
	x.Endpoint = policy.Endpoint{ID: "ep_1", Account: account}
	x.Services = policy.Services{Secret: g.lookups.Secret, IPPolicy: g.lookups.IPPolicy}
	x.Request = httptest.NewRequest("GET", "/", nil)
	v, err := p.Run(g.t.Context(), policy.OnHTTPRequest, x)
	if err != nil {
		return err.Error()
	}
	if v != policy.Answer || x.Response == nil {
		return fmt.Sprint("verdict ", v)
	}
	return x.Response.Header.Get("X-Key")
}

// TestAPI_39_SecretRotation uses a secret in a policy that is never touched.
func TestAPI_39_SecretRotation(t *testing.T) {
	t.Parallel()
	g := guard(t)
	const first, second, foreign = "planted-one-7Qx", "planted-two-9Zk", "planted-three-4Lm"
	v := g.make("/vaults", `{"name":"shop"}`)
	s := g.make("/vault_secrets", fmt.Sprintf(`{"name":"key","value":%q,"vault_id":%q}`, first, v))
	d, found := policy.Parse("", []byte(`on_http_request: [{actions: [{type: custom-response, config: {status_code: 200, headers: {x-key: "${secrets.get('shop', 'key')}"}}}]}]`))
	p, more := g.compiler.Compile(d, policy.Target{Scheme: "https", Cloud: true})
	if found.Failed() || more.Failed() {
		t.Fatal(found, more)
	}
	if got := g.run(p, identity.DefaultAccount, "127.0.0.1"); got != first {
		t.Errorf("got %q, want the first value", got)
	}
	if got := g.run(p, "ac_2", "127.0.0.1"); strings.Contains(got, first) || !strings.Contains(got, "no such vault") {
		t.Errorf("another account gets %q, want no such vault", got)
	}
	g.must(200, "PATCH", "/vault_secrets/"+s, fmt.Sprintf(`{"value":%q}`, second))
	if got := g.run(p, identity.DefaultAccount, "127.0.0.1"); got != second {
		t.Errorf("after the rotation: %q, want the second value", got)
	}
	if status, e := g.do("POST", "/vaults", `{"name":"shop"}`, asTwo); status != 201 {
		t.Fatal(e)
	}
	if status, e := g.do("POST", "/vault_secrets", fmt.Sprintf(`{"name":"key","value":%q,"vault_name":"shop"}`, foreign), asTwo); status != 201 {
		t.Fatal(e)
	}
	for account, want := range map[string]string{identity.DefaultAccount: second, "ac_2": foreign} {
		if got := g.run(p, account, "127.0.0.1"); got != want {
			t.Errorf("%s: %q, want its own value", account, got)
		}
	}
	g.must(200, "PATCH", "/vaults/"+v, `{"name":"store"}`)
	if got := g.run(p, identity.DefaultAccount, "127.0.0.1"); !strings.Contains(got, "no such vault") {
		t.Errorf("after the vault was renamed: %q", got)
	}
	g.must(200, "PATCH", "/vaults/"+v, `{"name":"shop"}`)
	g.must(204, "DELETE", "/vault_secrets/"+s, "")
	if got := g.run(p, identity.DefaultAccount, "127.0.0.1"); !strings.Contains(got, "no such secret") {
		t.Errorf("after the secret was deleted: %q", got)
	}

	// K9: the values stand nowhere.
	seen := g.logged.String() + g.stored()
	for _, path := range []string{"/vaults", "/vault_secrets", "/vaults/" + v + "/secrets"} {
		seen += mustJSON(t, g.must(200, "GET", path, ""))
	}
	for _, value := range []string{first, second, foreign} {
		if i := strings.Index(seen, value); i >= 0 {
			t.Errorf("the value %q stands in %q", value, seen[max(0, i-80):i])
		}
	}
}

// stored is all that the store holds, records and audit events.
func (g *guarded) stored() string {
	g.t.Helper()
	var all strings.Builder
	_, err := g.shared.Store.View(g.t.Context(), func(tx store.Tx) error {
		for _, kind := range []string{"vault", "vault_secret", "ip_policy", "ip_policy_rule", "ip_restriction", "reserved_domain", "audit"} {
			for r, err := range tx.List(store.Query{Kind: kind}) {
				if err != nil {
					return err
				}
				all.Write(r.Body)
			}
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all.String()
}

// TestRestrictIPsByPolicy changes an IP policy under a traffic policy that uses it.
func TestRestrictIPsByPolicy(t *testing.T) {
	t.Parallel()
	g := guard(t)
	id := g.make("/ip_policies", `{}`)
	text := fmt.Sprintf(`on_http_request: [{actions: [{type: restrict-ips, config: {allow: [198.51.100.0/24], ip_policies: [%s]}}, {type: custom-response, config: {status_code: 200, headers: {x-key: in}}}]}]`, id)
	d, _ := policy.Parse("", []byte(text))
	p, found := g.compiler.Compile(d, policy.Target{Scheme: "https"})
	if found.Failed() {
		t.Fatal(found)
	}
	want := func(step string, in ...string) {
		t.Helper()
		for _, from := range []string{"10.0.0.1", "10.1.0.1", "198.51.100.7", "192.0.2.1"} {
			if got := g.run(p, identity.DefaultAccount, from); (got == "in") != slices.Contains(in, from) {
				t.Errorf("%s: %s gets %q", step, from, got)
			}
		}
	}
	want("an empty policy", "198.51.100.7")
	rule := g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"10.0.0.0/8","action":"allow"}`, id))
	want("allowed", "10.0.0.1", "10.1.0.1", "198.51.100.7")
	g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"10.1.0.0/16","action":"deny"}`, id))
	g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"198.51.100.7/32","action":"deny"}`, id))
	want("denied", "10.0.0.1")
	g.must(204, "DELETE", "/ip_policy_rules/"+rule, "")
	want("no longer allowed")
	if got := g.run(p, "ac_2", "10.0.0.1"); got == "in" {
		t.Error("another account's policy lets its clients in")
	}
	g.must(204, "DELETE", "/ip_policies/"+id, "")
	want("deleted", "198.51.100.7")

	opts, _ := json.Marshal(map[string]string{"TrafficPolicy": text, "URL": "https://shop." + guardBase})
	agent := wire.Agent{Account: identity.DefaultAccount, SessionID: "ts_1", ClientID: "cl_1"}
	if _, err := g.binder.Reserve(t.Context(), agent, wire.Bind{Proto: "https", Opts: opts}); !fault.Has(err, fault.PolicyRefused) || !strings.Contains(err.Error(), string(fault.IPPolicyUnknown)) {
		t.Errorf("a bind with an unknown IP policy: %v, want 9026 with 2216", err)
	}
}

// TestT66_ForeignIDs asks for each kind of object by the id of another account's.
func TestT66_ForeignIDs(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p := g.make("/ip_policies", `{}`)
	v := g.make("/vaults", `{"name":"shop"}`)
	for _, tt := range []struct{ path, id, change string }{
		{"/ip_policies", p, `{"description":"x"}`},
		{"/ip_policy_rules", g.make("/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"10.0.0.0/8","action":"allow"}`, p)), `{"cidr":"11.0.0.0/8"}`},
		{"/ip_restrictions", g.make("/ip_restrictions", fmt.Sprintf(`{"type":"agent","ip_policy_ids":[%q]}`, p)), `{"enforced":true}`},
		{"/reserved_domains", g.make("/reserved_domains", `{"domain":"shop.example.org"}`), `{"description":"x"}`},
		{"/vaults", v, `{"name":"x"}`},
		{"/vault_secrets", g.make("/vault_secrets", fmt.Sprintf(`{"name":"key","value":"x","vault_id":%q}`, v)), `{"value":"y"}`},
	} {
		for _, do := range []struct{ method, body string }{{"GET", ""}, {"PATCH", tt.change}, {"DELETE", ""}} {
			if status, e := g.do(do.method, tt.path+"/"+tt.id, do.body, asTwo); status != 404 {
				t.Errorf("%s %s of another account = %d %v, want 404", do.method, tt.path, status, e)
			}
		}
		if _, e := g.do("GET", tt.path, "", asTwo); strings.Contains(mustJSON(t, e), tt.id) {
			t.Errorf("the list of %s shows another account's", tt.path)
		}
	}
	for _, tt := range []struct {
		path, body string
		status     int
		code       fault.Code
	}{
		{"/ip_policy_rules", fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"12.0.0.0/8","action":"allow"}`, p), 400, fault.IPRulePolicy},
		{"/ip_restrictions", fmt.Sprintf(`{"type":"agent","ip_policy_ids":[%q]}`, p), 400, fault.RestrictionPolicyUnknown},
		{"/vault_secrets", fmt.Sprintf(`{"name":"x","value":"y","vault_id":%q}`, v), 404, fault.SecretVaultUnknown},
	} {
		g.refused(tt.status, tt.code, "POST", tt.path, tt.body, asTwo)
	}
	for _, action := range []string{"certificate", "certificate_management_policy"} {
		if status, e := g.do("DELETE", "/reserved_domains/"+id2("rd")+"/"+action, "", asTwo); status != 404 {
			t.Errorf("detach %s of nothing = %d %v, want 404", action, status, e)
		}
	}
}

// TestAPI_12_PatchMatrix sends absent, null, empty and new values to each resource.
func TestAPI_12_PatchMatrix(t *testing.T) {
	t.Parallel()
	g := guard(t)
	p, q := g.make("/ip_policies", `{}`), g.make("/ip_policies", `{}`)
	const texts = `"description":"d","metadata":"m"`
	for _, tt := range []struct {
		path, create, list, empty, full string
		nothing                         fault.Code
		emptied                         any
	}{
		{path: "/ip_policies", create: `{` + texts + `}`, nothing: fault.IPPolicyUpdateEmpty},
		{path: "/ip_policy_rules", create: fmt.Sprintf(`{"ip_policy_id":%q,"cidr":"10.0.0.0/8","action":"allow",%s}`, p, texts), nothing: fault.IPRuleUpdateEmpty},
		{path: "/ip_restrictions", create: fmt.Sprintf(`{"type":"agent","ip_policy_ids":[%q],%s}`, p, texts), list: "ip_policies", empty: string(fault.RestrictionEmpty), full: fmt.Sprintf(`{"ip_policy_ids":[%q,%q]}`, q, p)},
		{path: "/reserved_domains", create: `{"domain":"shop.example.org","resolves_to":[{"value":"eu"}],` + texts + `}`, nothing: fault.DomainUpdateEmpty, list: "resolves_to", full: `{"resolves_to":[{"value":"us"},{"value":"192.0.2.1"}]}`},
		{path: "/vaults", create: `{"name":"shop",` + texts + `}`},
	} {
		o := g.must(201, "POST", tt.path, tt.create)
		path := tt.path + "/" + o["id"].(string)
		if tt.nothing != "" {
			g.refused(400, tt.nothing, "PATCH", path, `{"description":null}`)
			g.refused(400, tt.nothing, "PATCH", path, fmt.Sprintf(`{"id":%q}`, o["id"]))
		} else if got := g.must(200, "PATCH", path, `{"description":null,"metadata":null}`); got["description"] != "d" || got["metadata"] != "m" {
			t.Errorf("%s with null: %v, want it unchanged", tt.path, got)
		}
		got := g.must(200, "PATCH", path, fmt.Sprintf(`{"id":%q,"description":""}`, o["id"]))
		if got["description"] != "" || got["metadata"] != "m" {
			t.Errorf("%s with an empty text: %v, want the description empty and the rest as it was", tt.path, got)
		}
		if got := g.must(200, "PATCH", path, `{"description":"new"}`); got["description"] != "new" || got["metadata"] != "m" {
			t.Errorf("%s with a value: %v", tt.path, got)
		}
		if tt.list == "" {
			continue
		}
		if before, after := mustJSON(t, o[tt.list]), mustJSON(t, g.must(200, "GET", path, "")[tt.list]); before != after {
			t.Errorf("%s: %s is %s after updates that do not name it, want %s", tt.path, tt.list, after, before)
		}
		if got := g.must(200, "PATCH", path, tt.full)[tt.list].([]any); len(got) != 2 {
			t.Errorf("%s: %s = %v, want it replaced", tt.path, tt.list, got)
		}
		name := map[string]string{"ip_policies": "ip_policy_ids"}[tt.list]
		if name == "" {
			name = tt.list
		}
		if tt.empty != "" {
			g.refused(400, fault.Code(tt.empty), "PATCH", path, `{"`+name+`":[]}`)
		} else if got := g.must(200, "PATCH", path, `{"`+name+`":[]}`)[tt.list]; got != nil {
			t.Errorf("%s: %s = %v after an empty list, want null", tt.path, tt.list, got)
		}
	}
}
