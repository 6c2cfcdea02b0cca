package oracle

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
)

// listenScenarios are endpoints whose connections the application accepts from the library.
func listenScenarios() []scenario {
	return []scenario{
		{name: "listen_https", run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "https", Host: st.Host()}, App{Name: "app", Kind: "http"})
			if want := "https://" + st.Host() + ":" + st.HTTPSPort(); o.URL() != want {
				t.Errorf("URL %q, want %q", o.URL(), want)
			}
			checkRequest(t, st, o, "https")
		}},
		{name: "listen_http", run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "http", Host: st.Host()}, App{Name: "app", Kind: "http"})
			if want := "http://" + st.Host() + ":" + st.HTTPPort(); o.URL() != want {
				t.Errorf("URL %q, want %q", o.URL(), want)
			}
			checkRequest(t, st, o, "http")
		}},
		{name: "listen_random_url", run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "https"}, App{Name: "app", Kind: "http"})
			if !strings.HasSuffix(o.URL(), "."+st.Domain+":"+st.HTTPSPort()) {
				t.Errorf("URL %q, want one under %s", o.URL(), st.Domain)
			}
			checkRequest(t, st, o, "https")
		}},
		{name: "listen_wildcard", run: func(t *testing.T, st *Stage) {
			st.Listen(t, Endpoint{Scheme: "https", Host: st.Host("*")}, App{Name: "wild", Kind: "http"})
			st.Listen(t, Endpoint{Scheme: "https", Host: st.Host("exact")}, App{Name: "exact", Kind: "http"})
			client := st.Client(t)
			for label, want := range map[string]string{"exact": "exact", "other": "wild", "a.b.c": "wild"} {
				if got := Get(t, client, "https://"+st.Host(label)+":"+st.HTTPSPort()+"/").Name; got != want {
					t.Errorf("%s answered by %q, want %q", label, got, want)
				}
			}
		}},
		{name: "listen_tcp", run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "tcp"}, App{Name: "app", Kind: "tcp"})
			if !strings.HasPrefix(o.URL(), "tcp://") {
				t.Errorf("URL %q, want tcp", o.URL())
			}
			conn := Dial(t, o.URL())
			if name := Talk(t, conn); name != "app" {
				t.Errorf("answered by %q", name)
			}
			TalkToTheEnd(t, conn)
		}},
		{name: "listen_tls_passthrough", run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host()}, App{Name: "app", Kind: "tcp", TLS: pair})
			if want := "tls://" + st.Host() + ":" + st.HTTPSPort(); o.URL() != want {
				t.Errorf("URL %q, want %q", o.URL(), want)
			}
			conn := MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()})
			if name := Talk(t, conn); name != "app" {
				t.Errorf("answered by %q", name)
			}
			TalkToTheEnd(t, conn)
		}},
	}
}

// checkRequest sends a request with a body and holds what arrived against the headers that the edge promises.
func checkRequest(t *testing.T, st *Stage, o Online, scheme string) {
	t.Helper()
	client := st.Client(t)
	seen, err := do(t.Context(), client, "POST", o.URL()+"/a%20path/?q=1", strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(o.URL(), scheme+"://"), ":")
	for _, c := range []struct{ what, got, want string }{
		{"method", seen.Method, "POST"},
		{"URI", seen.URI, "/a%20path/?q=1"},
		{"body", seen.Body, "a body"},
		{"answered by", seen.Name, "app"},
		{"X-Forwarded-Proto", seen.Header["x-forwarded-proto"], scheme},
		{"X-Forwarded-For", seen.Header["x-forwarded-for"], "127.0.0.1"},
	} {
		if c.got != c.want {
			t.Errorf("%s %q, want %q", c.what, c.got, c.want)
		}
	}
	for what, got := range map[string]string{"Host": seen.Host, "X-Forwarded-Host": seen.Header["x-forwarded-host"]} {
		if name, _, _ := strings.Cut(got, ":"); name != host {
			t.Errorf("%s %q, want the name %q", what, got, host)
		}
	}
	// A second request on the same public connection.
	if again := Get(t, client, o.URL()+"/again"); again.URI != "/again" {
		t.Errorf("second request: URI %q", again.URI)
	}
}

// wantHeader checks a PROXY header against the connection that a public client made.
func wantHeader(t *testing.T, h Header, version int, client, server string) {
	t.Helper()
	if want := (Header{version, netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)}); h != want {
		t.Errorf("PROXY header %+v, want %+v", h, want)
	}
}
