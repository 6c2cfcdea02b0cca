package culvert_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

func TestListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	a := w.agent()
	ln := w.listenOn(a, culvert.WithURL("https://app.test"), culvert.WithName("n"), culvert.WithDescription("d"),
		culvert.WithMetadata("m"), culvert.WithBindings("public"), culvert.WithPoolingEnabled(true), culvert.WithTrafficPolicy("{}"))
	if ln.URL().String() != "https://app.test" || ln.Protocol() != "https" || ln.Addr().String() != "app.test" ||
		ln.Name() != "n" || ln.Description() != "d" || ln.Metadata() != "m" || !ln.PoolingEnabled() || ln.TrafficPolicy() != "{}" ||
		ln.ID() == "" || ln.TunnelID() == "" || ln.TunnelSessionID() != "ts_1" || ln.Bindings()[0] != "public" || ln.CreatedAt().IsZero() {
		t.Errorf("endpoint: got %+v", ln)
	}
	if all := a.Endpoints(); len(all) != 1 || all[0] != culvert.Endpoint(ln) {
		t.Errorf("Endpoints: got %v", all)
	}

	st := w.dial(ln, wire.ProxyHeader{ClientAddr: "[2001:db8::1]:4711"})
	if _, err := io.WriteString(st, "ping"); err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.RemoteAddr().String(); got != "[2001:db8::1]:4711" {
		t.Errorf("RemoteAddr: got %s", got)
	}
	if got := c.(*culvert.Conn).Proto(); got != "https" {
		t.Errorf("Proto: got %s", got)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
		t.Fatalf("read %q, %v", b, err)
	}
	_, _ = io.WriteString(c, "pong!")
	if s := ln.(culvert.EndpointStatus).Stats(); s.Opened != 1 || s.Open != 1 {
		t.Errorf("stats while open: got %+v", s)
	}
	_ = c.Close()
	if got, err := io.ReadAll(st); err != nil || string(got) != "pong!" {
		t.Errorf("client read %q, %v", got, err)
	}
	if s := ln.(culvert.EndpointStatus).Stats(); s != (culvert.EndpointStats{Opened: 1, BytesIn: 4, BytesOut: 5}) {
		t.Errorf("stats: got %+v", s)
	}
	opened := find(t, w.events, anyEvent[*culvert.EventConnectionOpened])
	closed := find(t, w.events, anyEvent[*culvert.EventConnectionClosed])
	if opened.Endpoint != culvert.Endpoint(ln) || opened.RemoteAddr != "[2001:db8::1]:4711" || closed.BytesIn != 4 || closed.BytesOut != 5 {
		t.Errorf("events: got %+v, %+v", opened, closed)
	}

	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	ln.Wait()
	if err := ln.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if got := w.server.Unbound(); len(got) != 1 {
		t.Errorf("unbound %v, want one", got)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: got %v", err)
	}
}

func TestEndpointRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, resp *wire.BindResp) error {
		resp.Extra.TunnelID = req.Proto + " " + string(req.Opts)
		return nil
	}})
	a := w.agent()
	tests := []struct {
		opt               culvert.EndpointOption
		wantProto, wantID string
	}{
		{culvert.WithURL(""), "https", `"URL":""`},
		{culvert.WithURL("http://a.test"), "http", `"URL":"http://a.test"`},
		{culvert.WithURL("b.test"), "https", `"URL":"b.test"`},
		{culvert.WithURL("tcp://"), "tcp", `"URL":"tcp://"`},
		{culvert.WithURL("TLS://c.test"), "tls", `"URL":"TLS://c.test"`},
		{culvert.WithAgentTLSTermination(&tls.Config{}), "tls", `"URL":"tls://"`},
	}
	for _, tc := range tests {
		ln, err := a.Listen(t.Context(), tc.opt)
		if err != nil {
			t.Errorf("want %s: %v", tc.wantID, err)
			continue
		}
		if got := ln.TunnelID(); !strings.HasPrefix(got, tc.wantProto+" ") || !strings.Contains(got, tc.wantID) {
			t.Errorf("bind: got %s, want %s with %s", got, tc.wantProto, tc.wantID)
		}
	}
	for _, opts := range [][]culvert.EndpointOption{
		{culvert.WithURL("udp://x")},
		{culvert.WithURL("https://x"), culvert.WithAgentTLSTermination(&tls.Config{})},
		{culvert.WithMetadata(strings.Repeat("x", 4097))},
	} {
		if _, err := a.Listen(t.Context(), opts...); code(err) == "" {
			t.Errorf("got %v, want an error with a code", err)
		}
	}
}

// TestAgent40_RefusalHasItsCode: SDK users match on codes.
func TestAgent40_RefusalHasItsCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Bind: func(*wiretest.Session, wire.Bind, *wire.BindResp) error {
		return fault.New(fault.URLTaken, "https://app.test")
	}})
	a := w.agent()
	_, err := a.Listen(t.Context(), culvert.WithURL("https://app.test"))
	if code(err) != "ERR_NGROK_334" || !strings.Contains(err.Error(), "app.test") {
		t.Errorf("Listen: got %v, want ERR_NGROK_334", err)
	}
	if n := len(a.Endpoints()); n != 0 {
		t.Errorf("%d endpoints after a refusal", n)
	}
}

// TestConnectionBeforeTheBindIsRead: the server may use an endpoint the moment
// it has answered.
func TestConnectionBeforeTheBindIsRead(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	w := newWorld(t, wiretest.Script{Bind: func(s *wiretest.Session, _ wire.Bind, resp *wire.BindResp) error {
		head := wire.ProxyHeader{Id: resp.Id, Proto: "https", ClientAddr: "1.2.3.4:5"}.AppendTo(nil)
		st, err := s.Mux().Open(context.Background(), head)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(st, "early"); err != nil {
			return err
		}
		go func() {
			b, _ := io.ReadAll(st)
			got <- string(b)
		}()
		return nil
	}})
	ln := w.listenOn(w.agent())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "served")
	_ = c.Close()
	if g := <-got; g != "served" {
		t.Errorf("early connection: got %q", g)
	}
}

func TestConnectionToUnknownEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	ln := w.listenOn(w.agent())
	st := w.dial(ln, wire.ProxyHeader{Id: "unknown"})
	if got := exchange(t, st, ""); got != "" {
		t.Errorf("got %q, want the end", got)
	}
}

func TestStopTunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	a := w.agent()
	ln, other := w.listenOn(a), w.listenOn(a)
	why := fault.New(fault.URLTaken, "https://app.test")
	if err := w.server.StopTunnel(t.Context(), ln.URL().String(), why); err != nil {
		t.Fatal(err)
	}
	<-ln.Done()
	_, err := ln.Accept()
	if code(err) != string(why.Code) || !strings.Contains(err.Error(), "app.test") {
		t.Errorf("Accept: got %v, want %v", err, why)
	}
	if got := w.server.Unbound(); len(got) != 0 {
		t.Errorf("unbound %v; a stopped endpoint is not to be taken back", got)
	}
	if state, _ := other.(culvert.EndpointStatus).State(); state != culvert.EndpointOnline {
		t.Errorf("the other endpoint is %s", state)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	var got wire.PatchTunnelState
	w := newWorld(t, wiretest.Script{Patch: func(req wire.PatchTunnelState) error {
		if req.Name != nil && *req.Name == "bad" {
			return fault.New(fault.MetadataTooLong, 5000)
		}
		got = req
		return nil
	}})
	f := w.forward(w.agent(), culvert.WithUpstream("80")).(culvert.UpdateableEndpointForwarder)
	name, pool, policy := "new", true, `{"a":1}`
	if err := f.Update(t.Context(), &name, nil, nil, &pool, &policy); err != nil {
		t.Fatal(err)
	}
	if got.TunnelId != f.TunnelID() || *got.Name != "new" || got.Description != nil || !*got.PoolingEnabled || *got.TrafficPolicy != policy {
		t.Errorf("patch: got %+v", got)
	}
	if f.Name() != "new" || !f.PoolingEnabled() || f.TrafficPolicy() != policy {
		t.Errorf("endpoint: got %q %v %q", f.Name(), f.PoolingEnabled(), f.TrafficPolicy())
	}
	bad := "bad"
	if err := f.Update(t.Context(), &bad, nil, nil, nil, nil); code(err) != string(fault.MetadataTooLong) || f.Name() != "new" {
		t.Errorf("refused patch: got %v, name %q", err, f.Name())
	}
}

// TestWaitingConnectionsAreBounded: an application that does not accept must
// not make the agent grow without end.
func TestWaitingConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	ln := w.listenOn(w.agent())
	refused := make(chan error, 1)
	for range 1100 {
		st := w.dial(ln, wire.ProxyHeader{})
		_, _ = io.WriteString(st, "x")
		go func() {
			if _, err := st.Read(make([]byte, 1)); err != nil {
				select {
				case refused <- err:
				default:
				}
			}
		}()
		if len(refused) > 0 {
			break
		}
	}
	if err := <-refused; err == nil {
		t.Error("no connection was refused")
	}
	// One that is being refused counts until it is closed.
	status := ln.(culvert.EndpointStatus)
	for end := time.Now().Add(10 * time.Second); status.Stats().Open > 1024 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if n := status.Stats().Open; n > 1024 {
		t.Errorf("%d connections wait, want at most 1024", n)
	}
}

// clientCert makes a certificate signed by ca.
func clientCert(t *testing.T, ca *wiretest.CA, template x509.Certificate) []tls.Certificate {
	t.Helper()
	cert, err := ca.Issue(template)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}

// TestT16_AgentMutualTLS: a client without a proper certificate cannot make
// the agent send one byte upstream, or even connect there.
func TestT16_AgentMutualTLS(t *testing.T) {
	t.Parallel()
	clientCA, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	otherCA, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	past := time.Now().Add(-time.Hour)
	tests := []struct {
		name  string
		certs []tls.Certificate
		good  bool
	}{
		{"good", clientCert(t, clientCA, x509.Certificate{ExtKeyUsage: usage}), true},
		{"missing", nil, false},
		{"wrong issuer", clientCert(t, otherCA, x509.Certificate{ExtKeyUsage: usage}), false},
		{"expired", clientCert(t, clientCA, x509.Certificate{ExtKeyUsage: usage, NotBefore: past.Add(-time.Hour), NotAfter: past}), false},
		{"wrong usage", clientCert(t, clientCA, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), false},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tc := range tests {
			t.Run(tls.VersionName(version)+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, wiretest.Script{})
				dialled := make(chan struct{}, 1)
				up := w.upstream("127.0.0.1:80", func(c net.Conn) { dialled <- struct{}{}; echo(c) })
				config := testCA().ServerTLS()
				config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clientCA.Pool()
				f := w.forward(w.agent(), culvert.WithUpstream("127.0.0.1:80", up),
					culvert.WithURL("tls://app.test"), culvert.WithAgentTLSTermination(config))
				client := tls.Client(w.dial(f, wire.ProxyHeader{PassthroughTLS: true}), &tls.Config{
					ServerName: "localhost", RootCAs: testCA().Pool(), Certificates: tc.certs, MinVersion: version, MaxVersion: version,
				})
				_, _ = io.WriteString(client, "ping")
				_ = client.CloseWrite()
				got, err := io.ReadAll(client)
				if (err == nil && string(got) == "ping") != tc.good {
					t.Errorf("client got %q, %v, want success %v", got, err, tc.good)
				}
				find(t, w.events, anyEvent[*culvert.EventConnectionClosed])
				if len(dialled) == 1 != tc.good || (count[*culvert.EventUpstreamDialComplete](w.events) == 1) != tc.good {
					t.Errorf("upstream was dialled: %v, want %v", !tc.good, tc.good)
				}
			})
		}
	}
}

func TestListenerTerminatesTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	ln := w.listenOn(w.agent(), culvert.WithURL("tls://app.test"), culvert.WithAgentTLSTermination(testCA().ServerTLS()))
	go func() {
		c, err := ln.Accept()
		if err == nil {
			echo(c)
			_ = c.Close()
		}
	}()
	client := tls.Client(w.dial(ln, wire.ProxyHeader{PassthroughTLS: true}), &tls.Config{ServerName: "localhost", RootCAs: testCA().Pool()})
	_, _ = io.WriteString(client, "ping")
	_ = client.CloseWrite()
	if got, err := io.ReadAll(client); err != nil || string(got) != "ping" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestBindSurvivesALostConnection: the call waits for the next connection.
func TestBindSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		var w *world
		w = newWorld(t, wiretest.Script{Bind: func(*wiretest.Session, wire.Bind, *wire.BindResp) error {
			if tries++; tries == 1 {
				w.server.Drop()
			}
			return nil
		}})
		ln := w.listenOn(w.agent(), culvert.WithURL("https://app.test"))
		if ln.URL().Host != "app.test" || tries != 2 {
			t.Errorf("got %s after %d binds, want app.test after 2", ln.URL(), tries)
		}
	})
}

func TestForwardsProto(t *testing.T) {
	t.Parallel()
	got := make(chan wire.Bind, 1)
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		got <- req
		return nil
	}})
	a := w.agent()
	tests := []struct {
		url   string
		up    *culvert.Upstream
		proto string
		to    string
		pp    int
	}{
		{"https://a.test", culvert.WithUpstream("8080", culvert.WithUpstreamProtocol("http2")), "http2", "http://localhost:8080", 0},
		{"https://b.test", culvert.WithUpstream("443", culvert.WithUpstreamProxyProto(culvert.ProxyProtoV2)), "", "https://localhost:443", 2},
		{"tcp://c.test:1", culvert.WithUpstream("22", culvert.WithUpstreamProxyProto(culvert.ProxyProtoV1)), "", "tcp://localhost:22", 1},
	}
	for _, tc := range tests {
		w.forward(a, tc.up, culvert.WithURL(tc.url))
		b := <-got
		var o struct{ ProxyProto int }
		if err := json.Unmarshal(b.Opts, &o); err != nil {
			t.Fatal(err)
		}
		if b.ForwardsProto != tc.proto || b.ForwardsTo != tc.to || o.ProxyProto != tc.pp {
			t.Errorf("%s: got %q %q %d, want %q %q %d", tc.url, b.ForwardsProto, b.ForwardsTo, o.ProxyProto, tc.proto, tc.to, tc.pp)
		}
	}
}
