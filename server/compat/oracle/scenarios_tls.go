package oracle

import (
	"crypto/tls"
	"errors"
	"io"
	"testing"
)

// tlsScenarios are the places where the TLS of a tls endpoint can end, and client certificates.
func tlsScenarios() []scenario {
	noEdge := func(l Lacks) bool { return l.EdgeTLS }
	noAgent := func(l Lacks) bool { return l.AgentTLS }
	tcpApp := App{Name: "app", Kind: "tcp"}
	return []scenario{
		{name: "tls_passthrough_forward", run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			up := Upstream(t, App{Name: "app", Kind: "tcp", TLS: pair})
			o := st.Forward(t, Endpoint{Scheme: "tls", Host: st.Host()}, "tcp://"+up)
			Talk(t, MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()}))
		}},
		{name: "tls_passthrough_wildcard", run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host("*"))
			st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host("*")}, App{Name: "app", Kind: "tcp", TLS: pair})
			Talk(t, MustDialTLS(t, "tls://"+st.Host("any")+":"+st.HTTPSPort(), &tls.Config{RootCAs: pair.Pool()}))
		}},
		{name: "tls_edge", lacks: noEdge, run: func(t *testing.T, st *Stage) {
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host(), EdgeTLS: true}, tcpApp)
			conn := MustDialTLS(t, o.URL(), &tls.Config{RootCAs: st.Pool})
			Talk(t, conn)
			TalkToTheEnd(t, conn)
		}},
		{name: "tls_edge_forward", lacks: noEdge, run: func(t *testing.T, st *Stage) {
			o := st.Forward(t, Endpoint{Scheme: "tls", Host: st.Host(), EdgeTLS: true}, "tcp://"+Upstream(t, tcpApp))
			Talk(t, MustDialTLS(t, o.URL(), &tls.Config{RootCAs: st.Pool}))
		}},
		{name: "tls_edge_own_certificate", lacks: noEdge, run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host(), EdgeCert: pair}, tcpApp)
			Talk(t, MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()}))
		}},
		{name: "tls_agent", lacks: noAgent, run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			cfg := &tls.Config{Certificates: []tls.Certificate{pair.Certificate()}}
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host(), AgentTLS: cfg}, tcpApp)
			Talk(t, MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()}))
		}},
		{name: "tls_agent_forward", lacks: noAgent, run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			cfg := &tls.Config{Certificates: []tls.Certificate{pair.Certificate()}}
			o := st.Forward(t, Endpoint{Scheme: "tls", Host: st.Host(), AgentTLS: cfg}, "tcp://"+Upstream(t, tcpApp))
			Talk(t, MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()}))
		}},
		{name: "tls_agent_mutual", lacks: noAgent, run: func(t *testing.T, st *Stage) {
			pair, client := NewPair(t, st.Host()), NewPair(t, "client")
			cfg := &tls.Config{
				Certificates: []tls.Certificate{pair.Certificate()},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: client.Pool(),
			}
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host(), AgentTLS: cfg}, tcpApp)
			checkMutual(t, o.URL(), &tls.Config{RootCAs: pair.Pool()}, client)
		}},
		{name: "tls_edge_mutual", lacks: func(l Lacks) bool { return l.MutualTLS || l.EdgeTLS }, run: func(t *testing.T, st *Stage) {
			client := NewPair(t, "client")
			o := st.Listen(t, Endpoint{Scheme: "tls", Host: st.Host(), EdgeTLS: true, ClientCAs: client.Cert}, tcpApp)
			checkMutual(t, o.URL(), &tls.Config{RootCAs: st.Pool}, client)
		}},
		{name: "https_mutual", lacks: func(l Lacks) bool { return l.MutualTLS }, run: func(t *testing.T, st *Stage) {
			client := NewPair(t, "client")
			o := st.Listen(t, Endpoint{Scheme: "https", Host: st.Host(), ClientCAs: client.Cert}, App{Name: "app", Kind: "http"})
			if seen := Get(t, st.Client(t, client.Certificate()), o.URL()+"/"); seen.Name != "app" {
				t.Errorf("with a certificate: answered by %q", seen.Name)
			}
			for what, c := range map[string][]tls.Certificate{"no": nil, "a foreign": {NewPair(t, "other").Certificate()}} {
				if seen, err := get(t.Context(), st.Client(t, c...), o.URL()+"/"); err == nil {
					t.Errorf("with %s certificate: answered by %q, want a refused handshake", what, seen.Name)
				}
			}
		}},
	}
}

// checkMutual wants the connection of client only.
func checkMutual(t *testing.T, u string, trust *tls.Config, client *Pair) {
	t.Helper()
	with := trust.Clone()
	with.Certificates = []tls.Certificate{client.Certificate()}
	Talk(t, MustDialTLS(t, u, with))
	foreign := trust.Clone()
	foreign.Certificates = []tls.Certificate{NewPair(t, "other").Certificate()}
	for what, cfg := range map[string]*tls.Config{"no": trust, "a foreign": foreign} {
		conn, err := DialTLS(t, u, cfg)
		if err == nil {
			// TLS 1.3: the server's verdict comes with the first read.
			_, err = conn.Read(make([]byte, 1))
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("with %s certificate: %v, want a refusal", what, err)
		}
	}
}
