package culvert_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

func code(err error) string {
	var e culvert.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return ""
}

func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Region: "eu", Auth: func(_ wire.Auth, resp *wire.AuthResp) error {
		resp.Extra.AccountName, resp.Extra.PlanName, resp.Extra.Banner = "Ada", "none", "hello"
		resp.Extra.DeprecationWarning = &wire.Deprecation{Msg: "old", NextMin: "9", NextDate: time.Unix(0, 0)}
		return nil
	}})
	a := w.agent(culvert.WithAgentMetadata("meta"), culvert.WithClientInfo("my-app", "1.2.3", "c1"))
	if _, err := a.Session(); err == nil {
		t.Error("Session before Connect: got no error")
	}
	if err := a.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Connect(t.Context()); err == nil {
		t.Error("second Connect: got no error")
	}
	s, err := a.Session()
	if err != nil {
		t.Fatal(err)
	}
	d := s.(culvert.AgentSessionDetails)
	if d.ID() != "ts_1" || d.AccountName() != "Ada" || d.Region() != "eu" || d.Banner() != "hello" || len(d.Warnings()) != 1 || d.Agent() != a {
		t.Errorf("session: got %q %q %q %q %v", d.ID(), d.AccountName(), d.Region(), d.Banner(), d.Warnings())
	}
	auth := w.server.Sessions()[0].Auth.Extra
	if auth.Authtoken != "token_0123456789abcdef" || auth.Metadata != "meta" || auth.ClientType != "my-app" ||
		!strings.HasPrefix(auth.UserAgent, "my-app/1.2.3 (c1) culvert-go/") ||
		auth.HeartbeatInterval != 10*time.Second || auth.HeartbeatTolerance != 15*time.Second {
		t.Errorf("Auth: got %+v", auth)
	}
	if auth.StopUnsupportedError == nil || *auth.StopUnsupportedError == "" {
		t.Error("without an RPC handler Stop must be named as unsupported")
	}
	find(t, w.events, anyEvent[*culvert.EventAgentConnectSucceeded])
	find(t, w.events, anyEvent[*culvert.EventAgentHeartbeatReceived])
	legs := a.(culvert.AgentStatus).Legs()
	if len(legs) != 1 || legs[0].State != culvert.StateOnline || legs[0].Region != "eu" || legs[0].Address != serverAddr {
		t.Errorf("legs: got %+v", legs)
	}
	if err := a.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if e := find(t, w.events, anyEvent[*culvert.EventAgentDisconnected]); e.Error != nil {
		t.Errorf("disconnected with %v, want no error", e.Error)
	}
	if err := a.Connect(t.Context()); err != nil {
		t.Errorf("Connect after Disconnect: %v", err)
	}
}

func TestFinalRefusals(t *testing.T) {
	t.Parallel()
	for _, f := range []*fault.Error{
		fault.New(fault.TokenMalformed, "x", "it is short"), fault.New(fault.TokenUnknown, "x"), fault.New(fault.TokenRevoked, "x"),
		fault.New(fault.SourceRefused, "x"), fault.New(fault.TokenSourceRefused, "x"),
		fault.New(fault.VersionUnsupported, "9"), fault.New(fault.AgentTooOld, "0.0.1"),
	} {
		t.Run(string(f.Code), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{Auth: func(wire.Auth, *wire.AuthResp) error { return f }})
			err := w.agent().Connect(t.Context())
			if code(err) != string(f.Code) {
				t.Errorf("Connect: got %v, want %s at once", err, f.Code)
			}
		})
	}
}

// TestOtherRefusalsAreTriedAgain: anything else may pass.
func TestOtherRefusalsAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := newWorld(t, wiretest.Script{Auth: func(wire.Auth, *wire.AuthResp) error {
			if tries++; tries < 5 {
				return fault.New(fault.TooManySessions, 3)
			}
			return nil
		}})
		if err := w.agent().Connect(t.Context()); err != nil || tries != 5 {
			t.Errorf("Connect: got %v after %d tries, want success after 5", err, tries)
		}
	})
}

func TestConnectGivesUpWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		w.ln.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a := w.agent()
		start := time.Now()
		err := a.Connect(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || code(err) != string(fault.ConnectFailed) || time.Since(start) != time.Minute {
			t.Errorf("Connect: got %v after %v, want the deadline and %s", err, time.Since(start), fault.ConnectFailed)
		}
		retrying := find(t, w.events, func(e *culvert.EventAgentStateChanged) bool { return e.Leg.Attempt == 3 })
		if retrying.Leg.State != culvert.StateConnecting || retrying.Leg.Err == nil {
			t.Errorf("third failure: got %+v", retrying.Leg)
		}
	})
}

func TestServerIsVerified(t *testing.T) {
	t.Parallel()
	other, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		opts []culvert.AgentOption
		want fault.Code
	}{
		{"pinned", []culvert.AgentOption{culvert.WithAgentConnectCAs(nil), culvert.WithCAFingerprint(testCA().Fingerprint())}, ""},
		{"pinned, upper case with colons", []culvert.AgentOption{culvert.WithCAFingerprint(colons(testCA().Fingerprint()))}, ""},
		{"wrong pin", []culvert.AgentOption{culvert.WithCAFingerprint(other.Fingerprint())}, fault.FingerprintMismatch},
		{"wrong authority", []culvert.AgentOption{culvert.WithAgentConnectCAs(other.Pool())}, fault.ServerUntrusted},
		{"system authorities", []culvert.AgentOption{culvert.WithAgentConnectCAs(x509.NewCertPool())}, fault.ServerUntrusted},
		{"wrong name with CA", []culvert.AgentOption{culvert.WithAgentConnectURL("other.test:9444")}, fault.ServerUntrusted},
		{"wrong name with pin", []culvert.AgentOption{culvert.WithAgentConnectURL("other.test:9444"), culvert.WithCAFingerprint(testCA().Fingerprint())}, fault.ServerUntrusted},
		{"by address", []culvert.AgentOption{culvert.WithAgentConnectURL("127.0.0.1:9444"), culvert.WithCAFingerprint(testCA().Fingerprint())}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{})
			if err := w.agent(tc.opts...).Connect(t.Context()); code(err) != string(tc.want) || (err == nil) != (tc.want == "") {
				t.Errorf("Connect: got %v, want code %q", err, tc.want)
			}
		})
	}
}

func colons(fp string) string {
	digits := strings.ToUpper(strings.TrimPrefix(fp, "sha256:"))
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return "SHA256:" + b.String()
}

func TestNewAgentChecksItsOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opt  culvert.AgentOption
		want fault.Code
	}{
		{"metadata", culvert.WithAgentMetadata(strings.Repeat("x", 4097)), fault.MetadataTooLong},
		{"proxy", culvert.WithProxyURL("proxy:3128"), fault.ProxyInvalid},
		{"fingerprint", culvert.WithCAFingerprint("sha256:12"), fault.FingerprintInvalid},
		{"server with path", culvert.WithAgentConnectURL("h:1/x"), fault.ServerAddress},
		{"server without host", culvert.WithAgentConnectURL(":443"), fault.ServerAddress},
		{"server with bad port", culvert.WithAgentConnectURL("h:70000"), fault.ServerAddress},
		{"server with two colons", culvert.WithAgentConnectURL("h:1:2"), fault.ServerAddress},
		{"good servers", culvert.WithAgentLegs("h", "h:1", "[::1]:1", "::1", "tls://h:1/", "127.0.0.1:9444"), ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := culvert.NewAgent(tc.opt); code(err) != string(tc.want) {
				t.Errorf("NewAgent: got %v, want code %q", err, tc.want)
			}
		})
	}
}

func TestAutoConnectOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	a := w.agent(culvert.WithAutoConnect(false))
	if _, err := a.Listen(t.Context()); err == nil {
		t.Error("Listen without a session: got no error")
	}
}

func TestAgent34_Proxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	used := make(chan string, 1)
	w.upstream("127.0.0.1:3128", func(c net.Conn) {
		b := make([]byte, 1024)
		n, _ := c.Read(b)
		used <- string(b[:n])
		to, err := w.net.Dial(t.Context(), "tcp", serverAddr)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(to, c); to.Close() }()
		_, _ = io.Copy(c, to)
	})
	if err := w.agent(culvert.WithProxyURL("http://u:p@127.0.0.1:3128")).Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-used; !strings.HasPrefix(got, "CONNECT "+serverAddr) || !strings.Contains(got, "Basic dTpw") {
		t.Errorf("the proxy was asked %q", got)
	}
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Region: "eu"})
	got, err := w.agent().(culvert.Diagnoser).Diagnose(t.Context(), "")
	if err != nil || got.Region != "eu" || got.Addr != serverAddr || len(got.PeerCertificates) != 2 {
		t.Errorf("Diagnose: got %+v, %v", got, err)
	}
	if len(w.server.Sessions()) != 0 {
		t.Error("Diagnose opened a session")
	}

	_, err = w.agent().(culvert.Diagnoser).Diagnose(t.Context(), "localhost:1")
	if !culvert.IsTCPDiagnoseFailure(err) {
		t.Errorf("closed port: got %v, want a TCP failure", err)
	}

	other, _ := wiretest.NewCA()
	got, err = w.agent(culvert.WithAgentConnectCAs(other.Pool())).(culvert.Diagnoser).Diagnose(t.Context(), "")
	if !culvert.IsTLSDiagnoseFailure(err) || len(got.PeerCertificates) != 2 {
		t.Errorf("wrong CA: got %d certificates, %v, want the chain and a TLS failure", len(got.PeerCertificates), err)
	}
	got, err = w.agent(culvert.WithCAFingerprint(other.Fingerprint())).(culvert.Diagnoser).Diagnose(t.Context(), "")
	if !culvert.IsTLSDiagnoseFailure(err) || len(got.PeerCertificates) != 2 {
		t.Errorf("wrong pin: got %d certificates, %v, want the chain and a TLS failure", len(got.PeerCertificates), err)
	}

	w.upstream("127.0.0.1:8443", func(c net.Conn) {
		tc := tlsServer(c, testCA().ServerTLS())
		_, _ = io.WriteString(tc, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = tc.Close()
	})
	_, err = w.agent().(culvert.Diagnoser).Diagnose(t.Context(), "localhost:8443")
	if !culvert.IsMuxadoDiagnoseFailure(err) {
		t.Errorf("other protocol: got %v, want a protocol failure", err)
	}
}

// TestNoGoroutineIsLeft: synctest fails a test whose goroutines do not end.
func TestNoGoroutineIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		a := w.agent()
		ln := w.listenOn(a)
		fwd := w.forward(a, culvert.WithUpstream("127.0.0.1:80", w.upstream("127.0.0.1:80", echo)), culvert.WithURL("tcp://"))
		st := w.dial(fwd, wire.ProxyHeader{})
		_, _ = io.WriteString(st, "ping")
		if _, err := io.ReadFull(st, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		w.dial(ln, wire.ProxyHeader{}).CloseWrite() // never accepted
		synctest.Wait()
		if err := a.Disconnect(); err != nil {
			t.Fatal(err)
		}
		for _, e := range []culvert.Endpoint{ln, fwd} {
			select {
			case <-e.Done():
			default:
				t.Errorf("%s is not done after Disconnect", e.URL())
			}
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Disconnect: got %v", err)
		}
		if n := len(a.Endpoints()); n != 0 {
			t.Errorf("%d endpoints after Disconnect", n)
		}
	})
}

// TestAgent41_ContextEndDrains: what is open may finish, new connections are
// refused.
func TestAgent41_ContextEndDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		a := w.agent()
		ctx, cancel := context.WithCancel(t.Context())
		slow := w.upstream("127.0.0.1:80", func(c net.Conn) {
			_, _ = io.ReadAll(c)
			time.Sleep(5 * time.Second)
			_, _ = io.WriteString(c, "done")
		})
		f, err := a.Forward(ctx, culvert.WithUpstream("127.0.0.1:80", slow), culvert.WithURL("tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		st := w.dial(f, wire.ProxyHeader{})
		got := make(chan string)
		go func() { got <- exchange(t, st, "ping") }()
		synctest.Wait()
		cancel()
		start := time.Now()
		if g := <-got; g != "done" {
			t.Errorf("open connection: got %q, want %q", g, "done")
		}
		<-f.Done()
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("ended after %v, want 5s", d)
		}
		synctest.Wait()
		if len(w.server.Unbound()) != 1 || len(w.server.Sessions()) != 0 {
			t.Errorf("server: unbound %v, %d sessions; want one and none", w.server.Unbound(), len(w.server.Sessions()))
		}
	})
}

// TestDrainClosesIdleConnections: a connection that is only kept alive does
// not hold up the end, one with a request under way does.
func TestDrainClosesIdleConnections(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"preserve", "rewrite"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { drainsIdle(t, culvert.WithUpstreamHostHeader(header)) })
		})
	}
}

func drainsIdle(t *testing.T, mode culvert.UpstreamOption) {
	t.Helper()
	w := newWorld(t, wiretest.Script{})
	up := w.upstream("127.0.0.1:80", func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if req.URL.Path == "/slow" {
				time.Sleep(5 * time.Second)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	f, err := w.agent().Forward(ctx, culvert.WithUpstream("127.0.0.1:80", up, mode), culvert.WithURL("https://app.test"))
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := w.dial(f, wire.ProxyHeader{}), w.dial(f, wire.ProxyHeader{})
	_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	synctest.Wait()
	start := time.Now()
	cancel()
	got, err := io.ReadAll(busy)
	if err != nil || !strings.HasSuffix(string(got), "ok") {
		t.Errorf("request under way: got %q, %v", got, err)
	}
	<-f.Done()
	if d := time.Since(start); d < 5*time.Second || d > 5200*time.Millisecond {
		t.Errorf("ended after %v, want 5s", d)
	}
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		a := w.agent(culvert.WithDrainTimeout(3 * time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		ln, err := a.Listen(ctx)
		if err != nil {
			t.Fatal(err)
		}
		st := w.dial(ln, wire.ProxyHeader{})
		go func() { _, _ = io.WriteString(st, "x") }()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		start := time.Now()
		_, err = io.ReadAll(c)
		if d := time.Since(start); err == nil || d != 3*time.Second {
			t.Errorf("connection ended with %v after %v, want an error after 3s", err, d)
		}
		<-ln.Done()
	})
}

func TestRemoteStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		var methods []string
		a := w.agent(culvert.WithRPCHandler(func(_ context.Context, s culvert.AgentSession, req rpcRequest) ([]byte, error) {
			methods = append(methods, req.Method())
			if s.ID() == "" {
				t.Error("the handler was given a session without id")
			}
			if len(methods) == 1 {
				return nil, errors.New("not now")
			}
			return nil, nil
		}))
		ln := w.listenOn(a)
		session := w.server.Sessions()[0]
		if p := session.Auth.Extra.StopUnsupportedError; p == nil || *p != "" {
			t.Errorf("StopUnsupportedError is %v, want empty", p)
		}
		var resp wire.ErrorResp
		for _, typ := range []wire.ReqType{wire.TypeRestart, wire.TypeUpdate, wire.TypeStop} {
			resp = wire.ErrorResp{}
			if err := session.Call(t.Context(), typ, struct{}{}, &resp); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			if (resp.Error != "") != (typ == wire.TypeRestart) {
				t.Errorf("%v: answer %q", typ, resp.Error)
			}
		}
		<-ln.Done()
		synctest.Wait()
		if want := []string{"RestartAgent", "UpdateAgent", "StopAgent"}; !slices.Equal(methods, want) {
			t.Errorf("methods %q, want %q", methods, want)
		}
		if _, err := a.Session(); err == nil {
			t.Error("there is a session after Stop")
		}
	})
}

func TestRemoteStopWithoutHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	if err := w.agent().Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	var resp wire.ErrorResp
	err := w.server.Sessions()[0].Call(t.Context(), wire.TypeStop, wire.Stop{}, &resp)
	if f := fault.ParseWire(resp.Error); err != nil || f == nil || f.Code != fault.CommandUnsupported {
		t.Errorf("Stop: got %q, %v, want %s", resp.Error, err, fault.CommandUnsupported)
	}
}
