package route_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

// online makes an endpoint for a URL such as "https://app.example.com".
func online(t testing.TB, url string) *route.Endpoint {
	t.Helper()
	u, err := endpoint.ParseURL(url, endpoint.HTTPS)
	if err != nil {
		t.Fatalf("ParseURL(%q): %v", url, err)
	}
	return &route.Endpoint{ID: url, Key: endpoint.Key{Binding: endpoint.Public, URL: u.WithDefaults()}}
}

// table makes a table of endpoints whose IDs are their URLs.
func table(t testing.TB, urls ...string) *route.Table {
	t.Helper()
	tab := route.NewTable()
	for _, u := range urls {
		tab = tab.With(online(t, u))
	}
	return tab
}

// found names the endpoint that a lookup led to.
func found(p *route.Pool) string {
	if p == nil {
		return ""
	}
	return p.Pick().ID
}

func TestLookup(t *testing.T) {
	t.Parallel()
	tab := table(t,
		"https://app.example.com", "https://*.example.com", "https://*.b.c.example.com",
		"http://app.example.com", "tls://db.example.com", "https://ext.example.com:8443",
		"tcp://tcp.example.com:20001", "https://*.com",
	)
	tests := []struct {
		name   string
		scheme endpoint.Scheme
		host   string
		port   uint16
		want   string
	}{
		{"exact", endpoint.HTTPS, "app.example.com", 443, "https://app.example.com"},
		{"other port", endpoint.HTTP, "app.example.com", 80, "http://app.example.com"},
		{"wildcard", endpoint.HTTPS, "x.example.com", 443, "https://*.example.com"},
		{"wildcard at depth", endpoint.HTTPS, "x.y.z.example.com", 443, "https://*.example.com"},
		{"longest wildcard", endpoint.HTTPS, "x.a.b.c.example.com", 443, "https://*.b.c.example.com"},
		{"wildcard does not cover its parent", endpoint.HTTPS, "b.c.example.com", 443, "https://*.example.com"},
		{"nor the base", endpoint.HTTPS, "com", 443, ""},
		{"base of one wildcard below another", endpoint.HTTPS, "example.com", 443, "https://*.com"},
		{"no wildcard for http", endpoint.HTTP, "x.example.com", 80, ""},
		{"name of a tls endpoint asked as https", endpoint.HTTPS, "db.example.com", 443, ""},
		{"tls", endpoint.TLS, "db.example.com", 443, "tls://db.example.com"},
		{"tls asked for an https wildcard", endpoint.TLS, "x.example.com", 443, ""},
		{"extra port", endpoint.HTTPS, "ext.example.com", 8443, "https://ext.example.com:8443"},
		{"extra port only there", endpoint.HTTPS, "ext.example.com", 443, "https://*.example.com"},
		{"wildcard only on its port", endpoint.HTTPS, "x.example.com", 8443, ""},
		{"tcp by port alone", endpoint.TCP, "ignored", 20001, "tcp://tcp.example.com:20001"},
		{"other tcp port", endpoint.TCP, "", 20002, ""},
		{"http on a tcp port", endpoint.HTTP, "tcp.example.com", 20001, ""},
		{"no host", endpoint.HTTPS, "", 443, ""},
		{"no host on a tcp port", endpoint.HTTP, "", 20001, ""},
		{"pattern as host", endpoint.HTTPS, "*.example.com", 443, ""},
		{"unknown", endpoint.HTTPS, "example.org", 443, ""},
		{"dots", endpoint.HTTPS, "..", 443, ""},
		{"endless labels", endpoint.HTTPS, strings.Repeat("a.", 500) + "org", 443, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := found(tab.Lookup(endpoint.Public, tt.scheme, tt.host, tt.port)); got != tt.want {
				t.Errorf("Lookup(%s, %q, %d) = %q, want %q", tt.scheme, tt.host, tt.port, got, tt.want)
			}
		})
	}
	for host, want := range map[string]string{
		"db.example.com": "tls://db.example.com", "x.example.com": "https://*.example.com", "": "", "org": "",
	} {
		if got := found(tab.LookupName(host, 443)); got != want {
			t.Errorf("LookupName(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestEndpoints09_ExactNameTakesAndGivesBackTheTrafficOfAWildcard(t *testing.T) {
	t.Parallel()
	const host = "a.b.c.example.com"
	tab := table(t, "https://*.example.com")
	if got := found(tab.Lookup(endpoint.Public, endpoint.HTTPS, host, 443)); got != "https://*.example.com" {
		t.Fatalf("wildcard alone: got %q", got)
	}
	e := online(t, "https://"+host)
	tab = tab.With(e)
	if got := found(tab.Lookup(endpoint.Public, endpoint.HTTPS, host, 443)); got != e.ID {
		t.Fatalf("exact name online: got %q", got)
	}
	tab = tab.Without(e)
	if got := found(tab.Lookup(endpoint.Public, endpoint.HTTPS, host, 443)); got != "https://*.example.com" {
		t.Fatalf("exact name gone: got %q", got)
	}
}

func TestEndpoints10_WildcardDoesNotServeItsBase(t *testing.T) {
	t.Parallel()
	tab := table(t, "https://*.example.com")
	if got := found(tab.Lookup(endpoint.Public, endpoint.HTTPS, "example.com", 443)); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestInternalNamesBelongToTheirAccount(t *testing.T) {
	t.Parallel()
	tab := route.NewTable()
	for _, account := range []string{"a", "b"} {
		e := online(t, "https://api.internal")
		e.ID, e.Key.Account, e.Key.Binding = account, account, endpoint.Internal
		tab = tab.With(e)
	}
	for _, account := range []string{"a", "b", "c", ""} {
		want := account
		if account == "c" {
			want = ""
		}
		got := found(tab.LookupAccount(account, endpoint.Internal, endpoint.HTTPS, "api.internal", 443))
		if got != want {
			t.Errorf("account %q reaches %q, want %q", account, got, want)
		}
	}
	if got := found(tab.Lookup(endpoint.Public, endpoint.HTTPS, "api.internal", 443)); got != "" {
		t.Errorf("the public reaches %q, want nothing", got)
	}
}

func TestTablesDoNotChange(t *testing.T) {
	t.Parallel()
	e := online(t, "https://app.example.com")
	before := table(t, "https://other.example.com")
	with := before.With(e)
	without := with.Without(e)
	lookup := func(tab *route.Table) string {
		return found(tab.Lookup(endpoint.Public, endpoint.HTTPS, "app.example.com", 443))
	}
	if lookup(before) != "" || lookup(with) == "" || lookup(without) != "" {
		t.Errorf("found %q before, %q with, %q without", lookup(before), lookup(with), lookup(without))
	}
	if before.Len() != 1 || with.Len() != 2 || without.Len() != 1 {
		t.Errorf("Len is %d, %d, %d; want 1, 2, 1", before.Len(), with.Len(), without.Len())
	}
	if with.With(e) != with || without.Without(e) != without {
		t.Error("a change without effect made another table")
	}
}

func TestWithoutRemovesOnlyThatBinding(t *testing.T) {
	t.Parallel()
	older, newer := online(t, "https://app.example.com"), online(t, "https://app.example.com")
	older.Pooled, newer.Pooled = true, true
	tab := route.NewTable().With(older).With(newer).Without(older)
	p := tab.Lookup(endpoint.Public, endpoint.HTTPS, "app.example.com", 443)
	if p == nil || len(p.Members()) != 1 || p.Members()[0] != newer {
		t.Fatalf("after the older one left: %+v, want the newer one", p)
	}
	if again := tab.Without(older); again != tab {
		t.Error("the older one was removed twice")
	}
}

func TestNewestSchemeOwnsAHostAndPort(t *testing.T) {
	t.Parallel()
	old := online(t, "https://app.example.com")
	tab := route.NewTable().With(old).With(online(t, "tls://app.example.com"))
	if got := found(tab.LookupName("app.example.com", 443)); got != "tls://app.example.com" {
		t.Errorf("LookupName = %q, want the tls endpoint", got)
	}
	if tab.Len() != 1 || tab.Without(old) != tab {
		t.Errorf("Len = %d and the https endpoint can leave; want it gone", tab.Len())
	}
}

// TestAgainstAModel changes a table at random and compares each answer with a
// map.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	tab := route.NewTable()
	model := map[string]*route.Endpoint{}
	for step := range 20_000 {
		host := fmt.Sprintf("h%d.d%d.example.com", rnd.IntN(40), rnd.IntN(40))
		if rnd.IntN(10) == 0 {
			host = fmt.Sprintf("*.d%d.example.com", rnd.IntN(40))
		}
		if e := model[host]; e != nil {
			tab = tab.Without(e)
			delete(model, host)
		} else {
			model[host] = online(t, "https://"+host)
			if step%100 != 0 {
				tab = tab.With(model[host])
			} else {
				tab = tab.WithAll([]*route.Endpoint{model[host]})
			}
		}
		ask := fmt.Sprintf("h%d.d%d.example.com", rnd.IntN(40), rnd.IntN(40))
		want := model[ask]
		if want == nil {
			_, suffix, _ := strings.Cut(ask, ".")
			want = model["*."+suffix]
		}
		var got *route.Endpoint
		if p := tab.Lookup(endpoint.Public, endpoint.HTTPS, ask, 443); p != nil {
			got = p.Pick()
		}
		if got != want {
			t.Fatalf("step %d: Lookup(%q) = %v, want %v", step, ask, got, want)
		}
		if tab.Len() != len(model) {
			t.Fatalf("step %d: Len = %d, want %d", step, tab.Len(), len(model))
		}
	}
	n := 0
	for p := range tab.Pools() {
		n++
		if host := p.Key().URL.Host; model[host] != p.Members()[0] {
			t.Errorf("Pools yields %q with another endpoint", host)
		}
	}
	if n != len(model) {
		t.Errorf("Pools yields %d pools, want %d", n, len(model))
	}
}

// Many endpoints at once make the table that they make one by one.
func TestWithAll(t *testing.T) {
	t.Parallel()
	old, first, second := online(t, "https://a.example.com"), online(t, "https://b.example.com"), online(t, "https://b.example.com")
	newer := online(t, "tls://a.example.com")
	all := []*route.Endpoint{first, newer, second, online(t, "https://*.w.example.com"), online(t, "tcp://localhost:20001")}
	for i := range 3000 {
		all = append(all, online(t, fmt.Sprintf("https://n%d.example.com", i)))
	}
	before := route.NewTable("api.w.example.com").With(old)
	want, got := before, before.WithAll(all)
	for _, e := range all {
		want = want.With(e)
	}
	if got.Len() != want.Len() || before.Len() != 1 {
		t.Errorf("Len = %d, want %d; of the table before %d, want 1", got.Len(), want.Len(), before.Len())
	}
	for p := range want.Pools() {
		q := got.At(p.Key())
		if q == nil || !slices.Equal(q.Members(), p.Members()) {
			t.Errorf("the pool at %v differs", p.Key())
		}
	}
	for host, found := range map[string]bool{"x.w.example.com": true, "api.w.example.com": false, "w.example.com": false} {
		if p := got.Lookup(endpoint.Public, endpoint.HTTPS, host, 443); (p != nil) != found {
			t.Errorf("Lookup(%q) = %v, want found: %v", host, p, found)
		}
	}
	if last := got.Without(newer).Without(first).Without(second); last.Len() != got.Len()-3 {
		t.Errorf("Len = %d after three have gone, want %d", last.Len(), got.Len()-3)
	}
}

// The server's own names under a base domain are nobody's, however wide a wildcard is.
func TestReservedNamesAreNotServedByWildcards(t *testing.T) {
	t.Parallel()
	r := route.NewRouter("api.example.com", "connect.apps.example.com")
	for _, u := range []string{
		"https://*.example.com", "http://*.example.com", "tls://*.example.com:8443", "https://*.apps.example.com",
		"https://*.com", "https://*.api.example.com",
	} {
		e := online(t, u)
		r.Update(func(t *route.Table) *route.Table { return t.With(e) })
		r.Expect(e.Key, farAway())
	}
	tab := r.Table()
	for _, tt := range []struct {
		scheme endpoint.Scheme
		host   string
		port   uint16
		want   bool
	}{
		{endpoint.HTTPS, "api.example.com", 443, false},
		{endpoint.HTTP, "api.example.com", 80, false},
		{endpoint.TLS, "api.example.com", 8443, false},
		{endpoint.HTTPS, "connect.apps.example.com", 443, false},
		{endpoint.HTTPS, "connect.example.com", 443, true}, // not given as reserved
		{endpoint.HTTPS, "x.api.example.com", 443, true},
		{endpoint.HTTPS, "apis.example.com", 443, true},
	} {
		if got := tab.Lookup(endpoint.Public, tt.scheme, tt.host, tt.port) != nil; got != tt.want {
			t.Errorf("Lookup(%s, %s) finds %t, want %t", tt.scheme, tt.host, got, tt.want)
		}
		if got := tab.LookupName(tt.host, tt.port) != nil; got != tt.want {
			t.Errorf("LookupName(%s) finds %t, want %t", tt.host, got, tt.want)
		}
		if got := r.Expected(tt.scheme, tt.host, tt.port); got != tt.want {
			t.Errorf("Expected(%s) = %t, want %t", tt.host, got, tt.want)
		}
	}
	own := tab.With(online(t, "https://api.example.com"))
	if got := found(own.Lookup(endpoint.Public, endpoint.HTTPS, "api.example.com", 443)); got != "https://api.example.com" {
		t.Errorf("an endpoint of the reserved name itself: found %q", got)
	}
}

// The port alone says all only of public tcp endpoints: internal ones have names.
func TestInternalTCPEndpointsHaveNames(t *testing.T) {
	t.Parallel()
	tab := route.NewTable()
	for _, host := range []string{"a.internal", "b.internal"} {
		u := endpoint.URL{Scheme: endpoint.TCP, Host: host, Port: 22}
		tab = tab.With(&route.Endpoint{ID: host, Account: "ac", Key: endpoint.Key{Account: "ac", Binding: endpoint.Internal, URL: u}})
	}
	for host, want := range map[string]string{"a.internal": "a.internal", "b.internal": "b.internal", "c.internal": "", "": ""} {
		if got := found(tab.LookupAccount("ac", endpoint.Internal, endpoint.TCP, host, 22)); got != want {
			t.Errorf("LookupAccount(%q) = %q, want %q", host, got, want)
		}
	}
	if got := found(tab.LookupAccount("other", endpoint.Internal, endpoint.TCP, "a.internal", 22)); got != "" {
		t.Errorf("another account finds %q", got)
	}
}
