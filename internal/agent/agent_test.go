package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// ask sends a request over a forwarded connection of its own and returns the
// answer.
func ask(t *testing.T, w *world, url, path string) (status int, body string) {
	t.Helper()
	st, err := w.server.Dial(t.Context(), url, wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := fmt.Fprintf(st, "GET %s HTTP/1.1\r\nHost: app.example\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return answer(t, st)
}

func answer(t *testing.T, r io.Reader) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// hello answers every request on a connection.
func hello(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body := "hello " + req.Host + req.URL.Path
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func TestAgent03_LogLinesOfTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Region: "here"})
	upstream := web(t, hello)
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: "+upstream+"}}\n")})

	r.log.wait(t, `lvl=info msg="tunnel session started" obj=tunnels.session`)
	r.log.wait(t, `lvl=info msg="client session established" obj=csess id=ts_1`)
	r.log.wait(t, `lvl=info msg="started tunnel" obj=tunnels name=web addr=http://`+upstream+` url=https://app.example`)
	if _, got := ask(t, w, "https://app.example", "/x"); got != "hello app.example/x" {
		t.Errorf("body %q", got)
	}
	r.log.wait(t, `msg="join connections" obj=join id=`, "l=http://"+upstream+" r=198.51.100.7:40000")

	var line struct{ Event, State, Name, URL, Upstream string }
	if err := json.Unmarshal([]byte(r.lines.wait(t, `"event":"endpoint"`)), &line); err != nil {
		t.Fatal(err)
	}
	if line.State != "online" || line.Name != "web" || line.URL != "https://app.example" || line.Upstream != "http://"+upstream {
		t.Errorf("line of JSON %+v", line)
	}
	r.stop()
	r.wait(t)
	if r.err != nil || r.outcome != agent.Stopped {
		t.Errorf("Run = %v, %v; want Stopped", r.outcome, r.err)
	}
	r.lines.wait(t, `"event":"stopped"`, `"reason":"signal"`)
	if ids := w.server.Unbound(); len(ids) != 1 {
		t.Errorf("unbound %v, want the one endpoint", ids)
	}
}

// The service behind an endpoint may come later: the URL is online, and the log
// says what is missing.
func TestUpstreamThatIsNotUpYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{Features: wire.Features{FaultRecord: true}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	upstream := ln.Addr().String()
	_ = ln.Close()
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: "+upstream+"}}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	st, err := w.server.Dial(t.Context(), "https://app.example", wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b, _ := io.ReadAll(st)
	f, _, err := wire.ParseFault(b)
	if err != nil || f.Code != fault.UpstreamUnreachable {
		t.Errorf("fault record %v, %v, want %s", f, err, fault.UpstreamUnreachable)
	}
	r.log.wait(t, `msg="failed to open private leg"`, "privaddr=http://"+upstream)
}

func TestAgent06_FileEndpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("file"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, wiretest.Script{})
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: files, url: https://f.example, upstream: {url: \"file://"+dir+"\"}}\n")})
	r.log.wait(t, `msg="started tunnel"`, "addr=file://")
	if _, got := ask(t, w, "https://f.example", "/a.txt"); got != "file" {
		t.Errorf("body %q, want file", got)
	}
	if status, _ := ask(t, w, "https://f.example", "/../a.txt"); status != http.StatusNotFound {
		t.Errorf("status %d of a path with .., want 404", status)
	}
	r.log.wait(t, "msg=request obj=http name=files method=GET path=/a.txt status=200")
	r.stop()
	r.wait(t)
	if r.err != nil {
		t.Errorf("Run: %v", r.err)
	}
}

func TestHostHeaderIsRewritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	upstream := web(t, hello)
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t,
		"- {name: a, url: https://a.example, upstream: {url: "+upstream+", host_header: rewrite}}\n"+
			"- {name: b, url: https://b.example, upstream: {url: "+upstream+", host_header: other.lan}}\n")})
	r.log.wait(t, `msg="started tunnel"`, "name=a")
	r.log.wait(t, `msg="started tunnel"`, "name=b")
	if _, got := ask(t, w, "https://a.example", "/"); got != "hello "+upstream+"/" {
		t.Errorf("rewrite: body %q, want the upstream's own address", got)
	}
	if _, got := ask(t, w, "https://b.example", "/"); got != "hello other.lan/" {
		t.Errorf("value: body %q, want the value", got)
	}
}

func TestAgent13_OneSessionAndAllOrNothing(t *testing.T) {
	t.Parallel()
	taken := wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		if req.Extra.Name == "b" {
			return fault.New(fault.URLTaken, "https://b.example")
		}
		return nil
	}}
	two := "- {name: a, url: https://a.example, upstream: {url: 1}}\n- {name: b, url: https://b.example, upstream: {url: 2}}\n"

	w := newWorld(t, taken)
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, two)})
	r.wait(t)
	start1, ok := errors.AsType[*agent.StartError](r.err)
	if !ok || start1.Name != "b" || !fault.Has(r.err, fault.URLTaken) {
		t.Errorf("Run: %v, want a refusal of b with %s", r.err, fault.URLTaken)
	}
	if len(w.server.Sessions()) != 0 && !w.server.Wait(t.Context(), func(s []*wiretest.Session) bool { return len(s) == 0 }) {
		t.Error("the session is still open")
	}

	w = newWorld(t, wiretest.Script{})
	r = start(t, agent.Config{Settings: w.settings(t)})
	r.log.wait(t, `msg="client session established"`)
	r.stop()
	r.wait(t)
	if r.err != nil {
		t.Errorf("without endpoints: %v", r.err)
	}
}

// With KeepGoing an endpoint that is refused is told of and tried again.
func TestKeepGoingTriesAgain(t *testing.T) {
	t.Parallel()
	var free atomic.Bool
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		if req.Extra.Name == "b" && !free.Load() {
			return fault.New(fault.URLTaken, "https://b.example")
		}
		return nil
	}})
	r := start(t, agent.Config{Settings: w.settings(t), KeepGoing: true, Specs: specs(t, `
- {name: a, url: https://a.example, upstream: {url: 8080}}
- {name: b, url: https://b.example, upstream: {url: 8081}}
`)})
	r.log.wait(t, `msg="started tunnel"`, "name=a")
	r.log.wait(t, `msg="failed to start tunnel"`, "name=b", string(fault.URLTaken), "retry_in=")
	r.lines.wait(t, `"event":"endpoint","state":"failed","name":"b"`, `"code":"ERR_NGROK_334"`)
	free.Store(true)
	r.log.wait(t, `msg="started tunnel"`, "name=b", "url=https://b.example")
	if n := len(w.server.Sessions()); n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
	r.stop()
	r.wait(t)
	if r.err != nil {
		t.Errorf("Run: %v", r.err)
	}
}

func TestRefusedTokenEndsTheRun(t *testing.T) {
	t.Parallel()
	for _, code := range []fault.Code{fault.TokenMalformed, fault.TokenUnknown} {
		w := newWorld(t, wiretest.Script{Auth: func(wire.Auth, *wire.AuthResp) error { return fault.New(code, "…") }})
		r := start(t, agent.Config{Settings: w.settings(t)})
		r.wait(t)
		if !fault.Has(r.err, code) {
			t.Errorf("Run: %v, want %s", r.err, code)
		}
	}
}

func TestAgent31_ReconnectsWithTheSameURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	upstream := web(t, hello)
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: "+upstream+"}}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	w.server.Drop()
	r.log.wait(t, `msg="session closed, starting reconnect loop" obj=csess err=`)
	r.lines.wait(t, `"event":"session"`, `"state":"reconnecting"`)
	r.log.waitNth(t, 2, `msg="client session established"`)
	if !w.server.Bound(t.Context(), "https://app.example") {
		t.Fatal("the endpoint did not come back")
	}
	if _, got := ask(t, w, "https://app.example", "/again"); got != "hello app.example/again" {
		t.Errorf("body %q", got)
	}
	r.stop()
	r.wait(t)
	if n := strings.Count(r.log.String(), `msg="started tunnel"`); n != 1 {
		t.Errorf("%d lines say that the tunnel was started, want 1: its URL stayed", n)
	}
}

func TestAgent32_NewURLAfterReconnect(t *testing.T) {
	t.Parallel()
	bound := 0
	w := newWorld(t, wiretest.Script{
		Features: wire.Features{ReassignURL: true},
		Bind: func(_ *wiretest.Session, req wire.Bind, resp *wire.BindResp) error {
			if req.Extra.Name == "random" {
				bound++
				resp.URL = fmt.Sprintf("tcp://server.example:2000%d", bound)
			}
			return nil
		},
	})
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t,
		"- {name: random, url: \"tcp://\", upstream: {url: 1}}\n- {name: other, url: https://o.example, upstream: {url: 2}}\n")})
	r.log.wait(t, `msg="started tunnel"`, "name=random", "url=tcp://server.example:20001")
	r.log.wait(t, `msg="started tunnel"`, "name=other")
	w.server.Drop()
	r.log.wait(t, `msg="started tunnel"`, "name=random", "url=tcp://server.example:20002", "reconnect=true", "previous=tcp://server.example:20001")
	r.lines.wait(t, `"previous_url":"tcp://server.example:20001"`)
	if !w.server.Bound(t.Context(), "https://o.example") {
		t.Error("the other endpoint did not come back")
	}
}

// A refusal after a reconnect concerns one endpoint; the others serve.
func TestFailedRebindIsShown(t *testing.T) {
	t.Parallel()
	binds := make(chan struct{}, 64)
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		if req.Extra.Name == "bad" {
			binds <- struct{}{}
			if len(binds) == 2 {
				return fault.New(fault.URLTaken, "https://bad.example")
			}
		}
		return nil
	}})
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t,
		"- {name: bad, url: https://bad.example, upstream: {url: 1}}\n- {name: good, url: https://good.example, upstream: {url: 2}}\n")})
	r.log.wait(t, `msg="started tunnel"`, "name=bad")
	r.log.wait(t, `msg="started tunnel"`, "name=good")
	w.server.Drop()
	r.log.wait(t, `msg="failed to start tunnel"`, "name=bad", string(fault.URLTaken))
	r.lines.wait(t, `"name":"bad"`, `"state":"failed"`, `"code":"ERR_NGROK_334"`)
	if !w.server.Bound(t.Context(), "https://good.example") {
		t.Error("the good endpoint did not come back")
	}
	r.log.wait(t, `msg="tunnel is online again"`, "name=bad")
}

func TestAgent38_OrdersOfTheServer(t *testing.T) {
	t.Parallel()
	call := func(t *testing.T, w *world, typ wire.ReqType) string {
		t.Helper()
		if !w.server.Wait(t.Context(), func(s []*wiretest.Session) bool { return len(s) == 1 }) {
			t.Fatal("no session")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var resp wire.ErrorResp
		if err := w.server.Sessions()[0].Call(ctx, typ, struct{}{}, &resp); err != nil {
			t.Fatal(err)
		}
		return resp.Error
	}
	tests := []struct {
		name       string
		typ        wire.ReqType
		managed    bool
		check      func() error
		wantAnswer string // contained in the error of the answer; "" is success
		wantEnd    bool
		want       agent.Outcome
	}{
		{"stop", wire.TypeStop, true, nil, "", true, agent.Stopped},
		{"restart", wire.TypeRestart, true, func() error { return nil }, "", true, agent.Restart},
		{"restart with a broken file", wire.TypeRestart, true, func() error { return errors.New("line 3") }, "line 3", false, 0},
		{"update", wire.TypeUpdate, true, nil, "does not replace itself", false, 0},
		{"stop, not managed", wire.TypeStop, false, nil, string(fault.CommandUnsupported), false, 0},
		{"restart, not managed", wire.TypeRestart, false, nil, string(fault.CommandUnsupported), false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{})
			s := w.settings(t)
			s.RemoteManagement = tt.managed
			r := start(t, agent.Config{Settings: s, CheckRestart: tt.check})
			r.log.wait(t, `msg="client session established"`)
			answer := call(t, w, tt.typ)
			if (tt.wantAnswer == "") != (answer == "") || !strings.Contains(answer, tt.wantAnswer) {
				t.Errorf("answer %q, want %q", answer, tt.wantAnswer)
			}
			if !tt.wantEnd {
				if len(w.server.Sessions()) != 1 {
					t.Error("the session ended")
				}
				return
			}
			r.wait(t)
			if r.err != nil || r.outcome != tt.want {
				t.Errorf("Run = %v, %v, want %v", r.outcome, r.err, tt.want)
			}
		})
	}
}

// slow answers a request only when it is released.
func slow(release <-chan struct{}, asked chan<- struct{}) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		asked <- struct{}{}
		<-release
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow")
	}
}

func TestAgent41_FirstSignalDrainsSecondCuts(t *testing.T) {
	t.Parallel()
	for _, second := range []bool{false, true} {
		t.Run(fmt.Sprintf("second=%v", second), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wiretest.Script{})
			release, asked := make(chan struct{}), make(chan struct{}, 1)
			upstream := web(t, slow(release, asked))
			r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: "+upstream+"}}\n")})
			r.log.wait(t, `msg="started tunnel"`)
			st, err := w.server.Dial(t.Context(), "https://app.example", wire.ProxyHeader{})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if _, err := io.WriteString(st, "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			<-asked
			r.stop()
			if second {
				close(r.force)
				r.wait(t)
				close(release)
				return
			}
			close(release)
			if _, got := answer(t, st); got != "slow" {
				t.Errorf("body %q, want slow", got)
			}
			_ = st.Close()
			r.wait(t)
			if r.err != nil {
				t.Errorf("Run: %v", r.err)
			}
		})
	}
}

func TestServerThatIsNotThereIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	_ = w.ln.Close()
	r := start(t, agent.Config{Settings: w.settings(t)})
	r.log.wait(t, `msg="failed to reconnect session" obj=csess addr=`+w.addr)
	w.listen(t, w.addr)
	r.log.wait(t, `msg="client session established"`)
	r.stop()
	r.wait(t)
}

func TestStopWhileConnecting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	_ = w.ln.Close()
	r := start(t, agent.Config{Settings: w.settings(t)})
	r.log.wait(t, `msg="failed to reconnect session"`)
	began := time.Now()
	r.stop()
	r.wait(t)
	if r.err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("Run: %v after %v, want a quick end without an error", r.err, time.Since(began))
	}
}

func TestUntrustedServerEndsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	s := w.settings(t)
	s.Fingerprint = "sha256:" + strings.Repeat("00", 32)
	r := start(t, agent.Config{Settings: s})
	r.wait(t)
	if !fault.Has(r.err, fault.FingerprintMismatch) {
		t.Errorf("Run: %v, want %s", r.err, fault.FingerprintMismatch)
	}
}

// When the server has closed every endpoint for good, nothing is left to do.
func TestServerClosesTheLastEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: 1}}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	err := w.server.Sessions()[0].Notify(t.Context(), wire.TypeStopTunnel, wire.StopTunnel{Id: "bind2", Message: "taken back", ErrorCode: "ERR_NGROK_334"})
	if err != nil {
		t.Fatal(err)
	}
	r.wait(t)
	if !fault.Has(r.err, fault.URLTaken) {
		t.Errorf("Run: %v, want %s", r.err, fault.URLTaken)
	}
}
