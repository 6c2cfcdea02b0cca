package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
)

func domain(name string) string { return fmt.Sprintf(`{"domain":%q}`, name) }

// bind asks for a URL as an agent of an account does.
func (g *guarded) bind(account, url string) error {
	g.t.Helper()
	opts, err := json.Marshal(map[string]string{"URL": url})
	if err != nil {
		g.t.Fatal(err)
	}
	agent := wire.Agent{Account: account, SessionID: "ts_" + account, ClientID: "cl_" + account}
	_, err = g.binder.Reserve(g.t.Context(), agent, wire.Bind{Proto: "https", Opts: opts})
	return err
}

func TestDomains(t *testing.T) {
	t.Parallel()
	g := guard(t)
	own := g.must(201, "POST", "/reserved_domains", `{"domain":" Shop.CULVERT.localhost. ","region":"us","description":"d","error_redirect_url":"x"}`)
	for field, want := range map[string]any{
		"domain": "shop." + guardBase, "region": "us", "description": "d", "cname_target": nil, "acme_challenge_cname_target": nil,
		"certificate": nil, "certificate_management_policy": nil, "certificate_management_status": nil, "resolves_to": nil,
	} {
		if got, ok := own[field]; !ok || got != want {
			t.Errorf("under a base domain: %s = %v, want %v", field, got, want)
		}
	}
	custom := g.must(201, "POST", "/reserved_domains", `{"name":"*.BÜCHER.example.org","resolves_to":[{"value":"eu"},{"value":"192.0.2.1:443"}]}`)
	if custom["domain"] != "*.xn--bcher-kva.example.org" || mustJSON(t, custom["resolves_to"]) != `[{"value":"eu"},{"value":"192.0.2.1:443"}]` {
		t.Errorf("a name of one's own: %v", custom)
	}
	if got := mustJSON(t, custom["certificate_management_policy"]); got != `{"authority":"letsencrypt","private_key_type":"ecdsa"}` {
		t.Errorf("policy = %s, want the default", got)
	}
	target, challenge := custom["cname_target"].(string), custom["acme_challenge_cname_target"].(string)
	if !strings.HasSuffix(target, ".cname."+guardBase) || !strings.HasSuffix(challenge, ".acme.cname."+guardBase) || target == challenge {
		t.Errorf("targets = %q, %q", target, challenge)
	}
	path := "/reserved_domains/" + custom["id"].(string)
	if again := g.must(200, "GET", path, ""); mustJSON(t, again) != mustJSON(t, custom) {
		t.Errorf("got %v, want it as it was created: %v", again, custom)
	}
	exact := g.must(201, "POST", "/reserved_domains", domain("example.net"))
	if exact["cname_target"] == nil || exact["acme_challenge_cname_target"] != nil {
		t.Errorf("an exact name: %v, want no target for a challenge", exact)
	}
	for _, tt := range []struct {
		body string
		code fault.Code
	}{
		{`{}`, fault.FieldInvalid},
		{`{"domain":"a.example.net","name":"a.example.net"}`, fault.DomainNameTwice},
		{domain("shop." + guardBase), fault.DomainTaken},
		{domain(guardBase), fault.DomainBroad},
		{domain("*." + guardBase), fault.DomainBroad},
		{domain("*.com"), fault.DomainBroad},
		{domain("co.uk"), fault.DomainBroad},
		{domain("api." + guardBase), fault.NameKept},
		{domain("db.internal"), fault.DomainInternal},
		{domain("example"), fault.DomainUnqualified},
		{domain("a.*.example.net"), fault.DomainWildcardPlace},
		{domain("a*.example.net"), fault.DomainWildcardPart},
		{domain("a b.example.net"), fault.DomainCharacters},
		{domain("-a.example.net"), fault.DomainLabelStart},
		{domain("a-.example.net"), fault.DomainLabelEnd},
		{domain("a..example.net"), fault.DomainEmptyLabel},
		{domain("ab--c.example.net"), fault.DomainHyphens},
		{domain("a_b.example.net"), fault.DomainUnderscore},
		{domain("xn--zzzzzz99999.example.net"), fault.DomainPunycode},
		{domain(strings.Repeat("a", 64) + ".example.net"), fault.DomainLabelLength},
		{domain(strings.Repeat("a.", 130) + "net"), fault.DomainLength},
		{`{"domain":"a.example.net","resolves_to":[{"value":"moon"}]}`, fault.DomainPlace},
		{`{"domain":"a.example.net","resolves_to":[{"value":"eu"},{"value":"eu"}]}`, fault.DomainPlaceTwice},
		{`{"domain":"a.example.net","certificate_management_policy":{"authority":"me"}}`, fault.DomainAuthority},
		{`{"domain":"a.example.net","certificate_management_policy":{"private_key_type":"dsa"}}`, fault.DomainKeyType},
		{fmt.Sprintf(`{"domain":"a.example.net","certificate_id":%q,"certificate_management_policy":{}}`, id2("cert")), fault.DomainCertificateTwice},
		{fmt.Sprintf(`{"domain":"a.%s","certificate_id":%q}`, guardBase, id2("cert")), fault.DomainBaseCertificate},
		{`{"domain":"a.` + guardBase + `","certificate_management_policy":{}}`, fault.DomainBasePolicy},
		{`{"domain":"a.example.net","description":"` + strings.Repeat("x", 256) + `"}`, fault.DomainDescription},
		{`{"domain":"a.example.net","metadata":"` + strings.Repeat("x", 4097) + `"}`, fault.DomainMetadata},
	} {
		if status, e := g.do("POST", "/reserved_domains", tt.body); status != 400 || e["error_code"] != string(tt.code) {
			t.Errorf("POST %.100s = %d %v, want %s", tt.body, status, e, tt.code)
		}
	}
	g.refused(404, fault.CertificateUnknown, "POST", "/reserved_domains", fmt.Sprintf(`{"domain":"a.example.net","certificate_id":%q}`, id2("cert")))
}

// TestDomainUpdates are the rules about PATCH of api.md 2.2.
func TestDomainUpdates(t *testing.T) {
	t.Parallel()
	g := guard(t)
	base := "/reserved_domains/" + g.make("/reserved_domains", domain("shop."+guardBase))
	custom := "/reserved_domains/" + g.make("/reserved_domains", domain("example.org"))
	for _, path := range []string{base, custom} {
		got := g.must(200, "PATCH", path, `{"description":"x","certificate_id":""}`)
		if got["description"] != "x" || got["certificate"] != nil {
			t.Errorf("an empty certificate_id: %v, want all else as it was", got)
		}
		g.refused(400, fault.DomainFixed, "PATCH", path, domain("other.example.org"))
		g.refused(400, fault.DomainUpdateEmpty, "PATCH", path, `{}`)
	}
	g.must(200, "PATCH", base, domain(" SHOP."+guardBase))
	g.refused(400, fault.DomainBasePolicy, "PATCH", base, `{"certificate_management_policy":{"authority":"letsencrypt"}}`)
	g.refused(400, fault.DomainBaseCertificate, "PATCH", base, fmt.Sprintf(`{"certificate_id":%q}`, id2("cert")))
	g.refused(404, fault.CertificateUnknown, "PATCH", custom, fmt.Sprintf(`{"certificate_id":%q}`, id2("cert")))
	got := g.must(200, "PATCH", custom, `{"description":"y","certificate_id":"","certificate_management_policy":{"authority":"letsencrypt","private_key_type":"rsa"}}`)
	if p := mustJSON(t, got["certificate_management_policy"]); p != `{"authority":"letsencrypt","private_key_type":"rsa"}` {
		t.Errorf("policy = %s", p)
	}
	g.must(204, "DELETE", custom+"/certificate", "")
	g.must(204, "DELETE", custom+"/certificate_management_policy", "")
	if got := g.must(200, "PATCH", custom, `{"description":"z"}`); got["certificate_management_policy"] != nil || got["certificate_management_status"] != nil {
		t.Errorf("after the policy was taken off: %v, want none", got)
	}
}

// TestAPI_41_NamesOfOthers reserves and binds what belongs to another account.
func TestAPI_41_NamesOfOthers(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, name := range []string{"shop.example.org", "*.wild.example.org", "a.b." + guardBase} {
		g.make("/reserved_domains", domain(name))
	}
	for name, code := range map[string]fault.Code{
		"shop.example.org": fault.DomainForeign, "a.shop.example.org": fault.DomainForeign, "*.shop.example.org": fault.DomainForeign,
		"*.b.c.shop.example.org": fault.DomainForeign, "x.wild.example.org": fault.DomainForeign, "*.x.wild.example.org": fault.DomainForeign,
		"*.example.org": fault.DomainShadows, "example.org": fault.DomainShadows, "wild.example.org": fault.DomainShadows,
		"*.b." + guardBase: fault.DomainShadows, "b." + guardBase: fault.DomainShadows, "x.a.b." + guardBase: fault.DomainForeign,
	} {
		g.refused(400, code, "POST", "/reserved_domains", domain(name), asTwo)
	}
	for _, name := range []string{"other.example.org", "hop.example.org", "b.c." + guardBase} {
		if status, e := g.do("POST", "/reserved_domains", domain(name), asTwo); status != 201 {
			t.Errorf("reserve %s = %d %v, want 201", name, status, e)
		}
	}
	g.make("/reserved_domains", domain("below.shop.example.org")) // below one's own
	for _, tt := range []struct {
		account, url string
		code         fault.Code
	}{
		{"ac_2", "https://shop.example.org", fault.NameForeign},
		{"ac_2", "https://x.shop.example.org", fault.NameForeign},
		{"ac_2", "https://deep.er.wild.example.org", fault.NameForeign},
		{"ac_2", "https://nobody.example.com", fault.NameNotReserved},
		{"ac_2", "https://*.example.com", fault.WildcardNotReserved},
		{"ac_2", "https://x.y." + guardBase, fault.NameNested},
		{"ac_2", "https://*." + guardBase, fault.NameOfAdministrator},
		{"ac_2", "https://" + guardBase, fault.NameOfAdministrator},
		{"ac_2", "https://api." + guardBase, fault.NameKept},
		{"ac_2", "https://other.example.org", ""},
		{"ac_2", "https://deep.other.example.org", ""},
		{"ac_2", "https://b.c." + guardBase, ""},
		{"ac_2", "https://single." + guardBase, ""},
		{identity.DefaultAccount, "https://x.y.shop.example.org", ""},
		{identity.DefaultAccount, "https://*.wild.example.org", ""},
		{identity.DefaultAccount, "https://x.y.wild.example.org", ""},
		{identity.DefaultAccount, "https://*." + guardBase, ""},
		{identity.DefaultAccount, "https://wild.example.org", fault.NameNotReserved},
	} {
		if err := g.bind(tt.account, tt.url); tt.code == "" && err != nil || tt.code != "" && !fault.Has(err, tt.code) {
			t.Errorf("%s binds %s: %v, want %q", tt.account, tt.url, err, tt.code)
		}
	}
	g.refused(400, fault.DomainOnline, "POST", "/reserved_domains", domain("single."+guardBase))
	if status, e := g.do("POST", "/reserved_domains", domain("single."+guardBase), asTwo); status != 201 {
		t.Errorf("reserve the name of one's own agent = %d %v", status, e)
	}
}

// TestDomainRace reserves overlapping names for two accounts at once: one of them gets its own.
func TestDomainRace(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for i := range 8 {
		pairs := [][2]string{{"r%d.example.org", "a.r%d.example.org"}, {"*.r%d.example.org", "x.y.r%d.example.org"}, {"r%d.example.org", "r%d.example.org"}}
		pair := pairs[i%len(pairs)]
		var status [2]int
		var wg sync.WaitGroup
		for n, key := range []string{"Authorization: Bearer one", asTwo} {
			wg.Go(func() { status[n], _ = g.do("POST", "/reserved_domains", domain(fmt.Sprintf(pair[n], i)), key) })
		}
		wg.Wait()
		if status != [2]int{201, 400} && status != [2]int{400, 201} {
			t.Errorf("round %d: %v, want one of them refused", i, status)
		}
	}
}

// TestDomainInUse keeps names that cloud endpoints have (api.md 2.2: 446).
func TestDomainInUse(t *testing.T) {
	t.Parallel()
	g := guard(t, func(g *guarded) control.Resource { return control.NewEndpoints(g.shared, g.binder, nobodyOnline{}) })
	policy := `"traffic_policy":"on_http_request: [{actions: [{type: deny}]}]"`
	wide := "/reserved_domains/" + g.make("/reserved_domains", domain("example.org"))
	narrow := "/reserved_domains/" + g.make("/reserved_domains", domain("shop.example.org"))
	e := g.make("/endpoints", `{"url":"https://shop.example.org",`+policy+`}`)
	g.refused(400, fault.DomainInUse, "DELETE", narrow, "")
	g.must(204, "DELETE", wide, "") // the narrower one has it
	g.refused(400, fault.EndpointNotReserved, "POST", "/endpoints", `{"url":"https://shop.example.net",`+policy+`}`)
	g.refused(400, fault.EndpointNotReserved, "POST", "/endpoints", `{"url":"https://x.shop.example.org",`+policy+`}`, asTwo)
	g.refused(400, fault.EndpointNotReserved, "POST", "/endpoints", `{"url":"https://x.y.`+guardBase+`",`+policy+`}`, asTwo)
	if _, got := g.do("POST", "/endpoints", `{"url":"https://x.y.`+guardBase+`",`+policy+`}`, asTwo); !strings.Contains(fmt.Sprint(got["msg"]), "reserved-domains create --domain x.y."+guardBase) {
		t.Errorf("got %v, want the command that reserves the name", got)
	}
	g.must(204, "DELETE", "/endpoints/"+e, "")
	g.must(204, "DELETE", narrow, "")
}

// nobodyOnline has no agents' endpoints.
type nobodyOnline struct{}

func (nobodyOnline) Endpoints(string, string) []control.AgentEndpoint { return nil }
func (nobodyOnline) Endpoint(string) (control.AgentEndpoint, bool) {
	return control.AgentEndpoint{}, false
}

// TestT19_LookAlikeNames: however a name is spelled it is one reservation, and spellings that stand for none are
// refused. Names of other letters are other names.
func TestT19_LookAlikeNames(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.make("/reserved_domains", domain("shop.example.org"))
	g.make("/reserved_domains", domain("bücher.example.org"))
	for name, code := range map[string]fault.Code{
		"SHOP.Example.ORG": fault.DomainForeign, "shop.example.org.": fault.DomainForeign, " shop.example.org\t": fault.DomainForeign,
		"ｓｈｏｐ.example.org": fault.DomainForeign, "shop。example.org": fault.DomainForeign, "a.SHOP.example.org": fault.DomainForeign,
		"BÜCHER.example.org": fault.DomainForeign, "xn--bcher-kva.example.org": fault.DomainForeign, "XN--BCHER-KVA.example.org": fault.DomainForeign,
		"bu\u0308cher.example.org": fault.DomainForeign, "sh\u00adop.example.org": fault.DomainForeign,
		// Punycode of ASCII letters alone.
		"xn--shop-.example.org": fault.DomainLabelEnd, "xn--.example.org": fault.DomainLabelEnd, "XN--SHOP-.example.org": fault.DomainLabelEnd,
		"xn--zzzzzz99999.example.org": fault.DomainPunycode, "sh\u200bop.example.org": fault.DomainForeign,
	} {
		status, e := g.do("POST", "/reserved_domains", domain(name), asTwo)
		if status != 400 || e["error_code"] != string(code) {
			t.Errorf("reserve %q = %d %v, want %s", name, status, e["error_code"], code)
		}
		if err := g.bind("ac_2", "https://"+strings.TrimSpace(name)); err == nil {
			t.Errorf("another account binds %q", name)
		}
	}
	status, got := g.do("POST", "/reserved_domains", domain("ѕhop.example.org"), asTwo) // its first letter is Cyrillic
	if name, _ := got["domain"].(string); status != 201 || !strings.HasPrefix(name, "xn--") {
		t.Errorf("a name of other letters is %q, want it as punycode, which shows that", name)
	}
}
