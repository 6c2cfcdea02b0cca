package cli_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// newWorldCA returns the certificate of some authority, as PEM.
func newWorldCA(t *testing.T) []byte {
	t.Helper()
	ca, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert().Raw})
}

// hello serves requests on a loopback port and returns its address.
func hello(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Host) })}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}

// get asks for / over a forwarded connection of its own.
func (w *world) get(t *testing.T, url string) string {
	t.Helper()
	st, err := w.server.Dial(t.Context(), url, wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := io.WriteString(st, "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(st), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAgent02_TerminalShowsTheView(t *testing.T) {
	t.Parallel()
	w, h, upstream := newWorld(t, wiretest.Script{Region: "here", Auth: func(_ wire.Auth, resp *wire.AuthResp) error {
		resp.Extra.AccountName, resp.Extra.PlanName = "Ada", "free"
		return nil
	}}), newHome(t), hello(t)
	w.connect(t, h, "")
	i := h.program("http", upstream, "--url", "https://app.example")
	i.program.TerminalSize = func() (int, int, bool) { return 100, 30, true }
	i.start(t)
	i.out.wait(t, "Session Status     \x1b[32monline\x1b[0m", "Account            Ada (Plan: free)", "Version            ", "Region             here", "Latency            ",
		"Forwarding         \x1b[36mhttps://app.example\x1b[0m -> http://"+upstream, "Connections        ttl     opn     rt1     rt5     p50     p90")
	w.get(t, "https://app.example")
	i.out.wait(t, "                   1       ")
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
	if !strings.HasSuffix(i.out.String(), "\x1b[?25h\x1b[?1049l") {
		t.Error("the terminal is not given back")
	}
	if strings.Contains(i.out.String(), "started tunnel") {
		t.Error("log lines on the screen")
	}
}

func TestAgent02_PlainLinesElsewhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		env      string
		terminal bool
		args     []string
	}{
		{"pipe", "", false, nil},
		{"dumb", "TERM=dumb", true, nil},
		{"log to stdout", "", true, []string{"--log", "stdout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, h := newWorld(t, wiretest.Script{}), newHome(t)
			w.connect(t, h, "")
			i := h.program(append([]string{"http", "8080", "--url", "https://app.example"}, tt.args...)...)
			i.program.Env = append(i.program.Env, tt.env)
			i.program.TerminalSize = func() (int, int, bool) { return 80, 24, tt.terminal }
			i.start(t)
			i.out.wait(t, `msg="started tunnel" obj=tunnels name=command_line addr=http://localhost:8080 url=https://app.example`)
			i.interrupt()
			i.wait(t)
			i.check(t, 0)
			if strings.Contains(i.out.String(), "\x1b[") {
				t.Errorf("control sequences in plain lines: %q", i.out)
			}
		})
	}
}

func TestViewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	_ = ln.Close()
	terminal := func() (int, int, bool) { return 160, 40, true }

	h := newHome(t) // no server
	i := h.program("http", "80", "--connect-url", closed, "--authtoken", token)
	i.program.Env = append(i.program.Env, "NO_COLOR=1")
	i.program.TerminalSize = terminal
	i.start(t)
	i.out.wait(t, "The server "+closed+" cannot be reached", "Check that culvertd is running", "ERR_CULVERT_1210", "Next try in ", "culvert diagnose")
	i.interrupt()
	i.wait(t)
	i.check(t, 0)

	w, h := newWorld(t, wiretest.Script{}), newHome(t) // no upstream
	w.connect(t, h, "")
	i = h.program("tcp", closed, "--url", "tcp://t.example:1")
	i.program.Env = append(i.program.Env, "NO_COLOR=1")
	i.program.TerminalSize = terminal
	i.start(t)
	i.out.wait(t, "Session Status     online")
	st, err := w.server.Dial(t.Context(), "tcp://t.example:1", wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := io.WriteString(st, "x"); err != nil { // the first byte opens it
		t.Fatal(err)
	}
	i.out.wait(t, "Upstream           tcp://"+closed+" cannot be reached: ")
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
}

// NO_COLOR is about colours; the view stays.
func TestAgent02_NoColorKeepsTheView(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	i := h.program("http", "8080", "--url", "https://app.example")
	i.program.Env = append(i.program.Env, "NO_COLOR=1")
	i.program.TerminalSize = func() (int, int, bool) { return 80, 24, true }
	i.start(t)
	i.out.wait(t, "Session Status     online")
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
	if colour := regexp.MustCompile(`\x1b\[[0-9;]*m`).FindString(i.out.String()); colour != "" {
		t.Errorf("a colour in the view: %q", colour)
	}
}

func TestAgent03_JSONLog(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	i := h.program("http", "8080", "--url", "https://app.example", "--log", "stdout", "--log-format", "json")
	i.start(t)
	i.out.wait(t, `"msg":"started tunnel"`)
	i.interrupt()
	i.wait(t)
	for line := range strings.Lines(i.out.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if l["msg"] == "started tunnel" && (l["name"] != "command_line" || l["addr"] != "http://localhost:8080" || l["url"] != "https://app.example" || l["lvl"] != "info" || l["obj"] != "tunnels") {
			t.Errorf("line %s", line)
		}
	}
}

func TestJSONStateLines(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	i := h.program("tcp", "22", "--json", "--name", "ssh")
	i.start(t)
	i.out.wait(t, `"event":"session","state":"online"`, `"event":"endpoint","state":"online","name":"ssh"`, `"upstream":"tcp://localhost:22"`)
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
	for line := range strings.Lines(i.out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %q", line)
		}
	}
	if !strings.Contains(i.out.String(), `"event":"stopped","reason":"signal"`) {
		t.Errorf("no last line in %s", i.out)
	}
}

func TestAgent08_OlderFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args, wantURL string
		warns         string
	}{
		{"http 80 --domain app.example", "https://app.example", "--domain is deprecated"},
		{"http 80 --hostname app.example", "https://app.example", "--hostname is deprecated"},
		{"http 80 --scheme http --domain app.example", "http://app.example", "--scheme is deprecated"},
		{"tcp 22 --remote-addr tcp.example:12345", "tcp://tcp.example:12345", "--remote-addr is deprecated"},
		{"tls 443 --hostname app.example", "tls://app.example", "--hostname is deprecated"},
		{"http 80 --domain app.example --proxy-proto 1", "https://app.example", "--proxy-proto is deprecated"},
		{"http 80 --domain app.example --app-protocol http2", "https://app.example", "--app-protocol is deprecated"},
		{"tls 443 --domain app.example --terminate-at edge", "tls://app.example", "--terminate-at is deprecated"},
		{"http 80 --url https://app.example --host-header rewrite", "https://app.example", ""},
		{"http 80 --domain app.example --region eu", "https://app.example", "--region is deprecated"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			w, h := newWorld(t, wiretest.Script{}), newHome(t)
			w.connect(t, h, "")
			i := h.program(strings.Fields(tt.args)...)
			i.start(t)
			i.out.wait(t, `msg="started tunnel"`, "url="+tt.wantURL)
			i.interrupt()
			i.wait(t)
			i.check(t, 0, tt.warns)
			if tt.warns == "" && strings.Contains(i.err.String(), "deprecated") {
				t.Errorf("a warning, want none: %s", i.err)
			}
			if n := strings.Count(i.err.String(), tt.warns); tt.warns != "" && n != 1 {
				t.Errorf("%d warnings, want one: %s", n, i.err)
			}
		})
	}
}

// What only the server can do must reach it.
func TestServerSideFlagsTravel(t *testing.T) {
	t.Parallel()
	binds := make(chan wire.Bind, 1)
	w, h := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		binds <- req
		return nil
	}}), newHome(t)
	w.connect(t, h, "")
	ca := filepath.Join(h.dir, "ca.pem")
	if err := os.WriteFile(ca, newWorldCA(t), 0o600); err != nil {
		t.Fatal(err)
	}
	bind := func(args string) wire.Bind {
		i := h.program(strings.Fields(args)...)
		i.start(t)
		b := <-binds
		i.interrupt()
		i.wait(t)
		return b
	}
	var o struct {
		URL, Subdomain               string
		ProxyProto                   int
		TLSTermination               *wire.TLSTermination
		MutualTLSCA, MutualTLSAtEdge *wire.MutualTLS
	}
	b := bind("http 80 --subdomain app --pooling-enabled --metadata m --description d --upstream-protocol http2 --upstream-proxy-protocol 2")
	if err := json.Unmarshal(b.Opts, &o); err != nil {
		t.Fatal(err)
	}
	if o.Subdomain != "app" || o.URL != "" || o.ProxyProto != 2 || !b.Extra.PoolingEnabled || b.Extra.Metadata != "m" || b.Extra.Description != "d" || b.ForwardsProto != "http2" || b.Extra.Name != "command_line" {
		t.Errorf("bind %+v with %s", b, b.Opts)
	}
	if err := json.Unmarshal(bind("http 80 --mutual-tls-cas "+ca).Opts, &o); err != nil || o.MutualTLSCA == nil {
		t.Errorf("MutualTLSCA %+v, %v", o.MutualTLSCA, err)
	}
	if err := json.Unmarshal(bind("tls 443 --terminate-at edge --mutual-tls-cas "+ca).Opts, &o); err != nil || o.TLSTermination == nil || o.MutualTLSAtEdge == nil {
		t.Errorf("TLSTermination %+v, MutualTLSAtEdge %+v, %v", o.TLSTermination, o.MutualTLSAtEdge, err)
	}
}

const two = `endpoints:
  - name: web
    url: https://web.example
    upstream: {url: 8080}
tunnels:
  old: {proto: tcp, addr: 22, remote_addr: "tcp.example:2222"}
`

func TestAgent13_Start(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	w := newWorld(t, wiretest.Script{})
	w.connect(t, h, two)
	h.run(t, "start", "nope").check(t, 1, "ERR_CULVERT_1203", "nope", "old, web")
	h.run(t, "start").check(t, 1, "Name the endpoints to start", "old, web")
	for _, args := range []string{"start web old", "start --all"} {
		i := h.program(strings.Fields(args)...)
		i.start(t)
		i.out.wait(t, "url=https://web.example", "url=tcp://tcp.example:2222")
		if n := len(w.server.Sessions()); n != 1 {
			t.Errorf("%s: %d sessions, want one", args, n)
		}
		i.interrupt()
		i.wait(t)
		i.check(t, 0)
		w.server.Wait(t.Context(), func(all []*wiretest.Session) bool { return len(all) == 0 })
	}
	i := h.program("start", "--none")
	i.start(t)
	i.out.wait(t, `msg="client session established"`)
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
	if strings.Contains(i.out.String(), "started tunnel") {
		t.Error("--none started an endpoint")
	}
}

func TestAgent16_TokenPrecedence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"file", nil, nil, token},
		{"NGROK_AUTHTOKEN", []string{"NGROK_AUTHTOKEN=tok_ngrok_0123456789"}, nil, "tok_ngrok_0123456789"},
		{"CULVERT_AUTHTOKEN", []string{"NGROK_AUTHTOKEN=n", "CULVERT_AUTHTOKEN=tok_culvert_0123456789"}, nil, "tok_culvert_0123456789"},
		{"flag", []string{"CULVERT_AUTHTOKEN=c"}, []string{"--authtoken", "tok_flag_0123456789ab"}, "tok_flag_0123456789ab"},
		{"stdin", nil, []string{"--authtoken", "-"}, "tok_stdin_0123456789"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 1)
			w, h := newWorld(t, wiretest.Script{Auth: func(req wire.Auth, _ *wire.AuthResp) error {
				seen <- req.Extra.Authtoken
				return fault.New(fault.TokenUnknown)
			}}), newHome(t)
			w.connect(t, h, "")
			i := h.program(append([]string{"http", "80"}, tt.args...)...)
			i.program.Env = append(i.program.Env, tt.env...)
			i.program.Stdin = strings.NewReader("tok_stdin_0123456789\n")
			i.start(t)
			i.wait(t)
			i.check(t, 1, string(fault.TokenUnknown))
			if got := <-seen; got != tt.want {
				t.Errorf("the server saw %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.run(t, "http", "80").check(t, 1, "ERR_CULVERT_1204", "add-connect-url")
	h.run(t, "http", "80", "--connect-url", "localhost:1").check(t, 1, "ERR_NGROK_4018", "add-authtoken")
	for _, code := range []fault.Code{fault.TokenMalformed, fault.TokenUnknown} {
		w, h := newWorld(t, wiretest.Script{Auth: func(wire.Auth, *wire.AuthResp) error { return fault.New(code) }}), newHome(t)
		w.connect(t, h, "")
		h.run(t, "http", "80", "--log", "false").check(t, 1, string(code), "ERROR:  ")
	}
	w, h := newWorld(t, wiretest.Script{Bind: func(*wiretest.Session, wire.Bind, *wire.BindResp) error {
		return fault.New(fault.URLTaken, "https://app.example")
	}}), newHome(t)
	w.connect(t, h, "")
	h.run(t, "http", "80", "--log", "false", "--url", "https://app.example").check(t, 1, "ERR_NGROK_334", "https://app.example could not be started: ")
}

// connectProxy is an HTTP proxy that asks for a user name and a password.
func connectProxy(t *testing.T, tunnels *atomic.Int32) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				br := bufio.NewReader(c)
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				if req.Method != http.MethodConnect || req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("u:secret")) {
					_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
					return
				}
				out, err := net.Dial("tcp", req.Host)
				if err != nil {
					return
				}
				defer out.Close()
				tunnels.Add(1)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				var both sync.WaitGroup
				both.Go(func() { _, _ = io.Copy(out, br); _ = out.Close() })
				both.Go(func() { _, _ = io.Copy(c, out); _ = c.Close() })
				both.Wait()
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestAgent34_Proxy(t *testing.T) {
	t.Parallel()
	var tunnels atomic.Int32
	w, h, upstream := newWorld(t, wiretest.Script{}), newHome(t), hello(t)
	proxy := connectProxy(t, &tunnels)
	w.connect(t, h, "  proxy_url: http://u:secret@"+proxy+"\n")
	i := h.program("http", upstream, "--url", "https://app.example")
	i.start(t)
	i.out.wait(t, `msg="started tunnel"`)
	if got := w.get(t, "https://app.example"); got != "hello app.example" {
		t.Errorf("body %q", got)
	}
	i.interrupt()
	i.wait(t)
	if n := tunnels.Load(); n != 1 {
		t.Errorf("%d connections went through the proxy, want the session alone", n)
	}
	if all := i.out.String() + i.err.String(); strings.Contains(all, "secret") {
		t.Errorf("the proxy's password was shown: %s", all)
	}
	w.connect(t, h, "  proxy_url: proxy:3128\n")
	h.run(t, "http", "80").check(t, 1, "ERR_CULVERT_1211", "http://")
}

func TestAgent35_36_Diagnose(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{Region: "here"}), newHome(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedAddr := ln.Addr().String()
	_ = ln.Close()
	w.connect(t, h, "endpoints:\n  - {name: up, upstream: {url: "+hello(t)+"}}\n  - {name: down, upstream: {url: "+closedAddr+"}}\n")
	report := filepath.Join(h.dir, "r.json")
	i := h.run(t, "diagnose", "-w", report)
	i.check(t, 0)
	if !strings.Contains(i.out.String(), "OK    up") || !strings.Contains(i.out.String(), "WARN  down") || !strings.Contains(i.out.String(), "region here") {
		t.Errorf("printed\n%s", i.out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) || strings.Contains(string(b), token) || !strings.Contains(string(b), w.addr) {
		t.Errorf("report\n%s", b)
	}

	// Somebody in between presents certificates of another authority.
	wrong := "sha256:" + strings.Repeat("12", 32)
	i = h.run(t, "diagnose", "--ca-fingerprint", wrong)
	i.check(t, 1)
	if !strings.Contains(i.out.String(), "ERR_NGROK_8003") || !strings.Contains(i.out.String(), "CN=wiretest") {
		t.Errorf("printed\n%s", i.out)
	}
	// Without a pinned authority it is only a certificate nobody knows.
	i = h.run(t, "diagnose", "--connect-cas", "host")
	i.check(t, 1)
	if !strings.Contains(i.out.String(), "ERR_NGROK_8008") {
		t.Errorf("printed\n%s", i.out)
	}
	ca := filepath.Join(h.dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Cert().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	h.run(t, "diagnose", "--connect-cas", ca).check(t, 0)

	i = h.run(t, "diagnose", "--connect-url", closedAddr)
	i.check(t, 1)
	if !strings.Contains(i.out.String(), "ERR_NGROK_8007") {
		t.Errorf("printed\n%s", i.out)
	}
	newHome(t).run(t, "diagnose").check(t, 1, "ERR_CULVERT_1204")
}

func TestDiagnoseTriesTheToken(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{Auth: func(req wire.Auth, _ *wire.AuthResp) error {
		if req.Extra.Authtoken != token {
			return fault.New(fault.TokenUnknown, "***")
		}
		return nil
	}}), newHome(t)
	w.connect(t, h, "")
	h.run(t, "diagnose").check(t, 0)
	i := h.run(t, "diagnose", "--authtoken", "another_0123456789abcdef")
	i.check(t, 1)
	if !strings.Contains(i.out.String(), "Authtoken") || !strings.Contains(i.out.String(), "ERR_NGROK_107") {
		t.Errorf("printed\n%s", i.out)
	}
	// What answers without TLS is not the agent address.
	i = h.run(t, "diagnose", "--connect-url", hello(t))
	i.check(t, 1)
	if !strings.Contains(i.out.String(), "ERR_NGROK_8009") || !strings.Contains(i.out.String(), "9444") {
		t.Errorf("printed\n%s", i.out)
	}
}

func TestAgent38_RestartRunsAgain(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, two)
	i := h.program("start", "web")
	i.start(t)
	i.out.wait(t, `msg="client session established" obj=csess id=ts_1`, `msg="started tunnel"`)
	order := func() string {
		t.Helper()
		var resp wire.ErrorResp
		if err := w.server.Sessions()[0].Call(t.Context(), wire.TypeRestart, wire.Restart{}, &resp); err != nil {
			t.Fatal(err)
		}
		return resp.Error
	}
	if answer := order(); answer != "" {
		t.Fatalf("answer %q", answer)
	}
	i.out.wait(t, "restarting by order of the server")
	i.out.waitNth(t, 2, `msg="started tunnel"`)
	for len(w.server.Sessions()) != 1 { // the old one is about to end
		<-time.After(time.Millisecond)
	}
	if s := w.server.Sessions(); s[0].Auth.ClientId != "" {
		t.Fatalf("the session has client id %q, want a new one", s[0].Auth.ClientId)
	}
	h.write(t, "version: 3\nnonsense: true\n")
	if answer := order(); !strings.Contains(answer, "ERR_NGROK_807") {
		t.Errorf("answer to a restart with a broken file: %q", answer)
	}
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
}

func TestRestartReplacesTheProcess(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, two)
	i := h.program("start", "--none")
	replaced := make(chan []string, 1)
	i.program.Exec = func(path string, args, env []string) error {
		replaced <- append([]string{path}, args...)
		i.signals <- syscall.SIGTERM // this process goes on, since it cannot be replaced in a test
		return fmt.Errorf("not in a test")
	}
	i.start(t)
	i.out.wait(t, `msg="client session established"`)
	var resp wire.ErrorResp
	if err := w.server.Sessions()[0].Call(t.Context(), wire.TypeRestart, wire.Restart{}, &resp); err != nil || resp.Error != "" {
		t.Fatal(resp.Error, err)
	}
	if got := <-replaced; len(got) != 4 || got[2] != "start" {
		t.Errorf("replaced by %q", got)
	}
	i.wait(t)
	i.check(t, 0, "cannot be replaced")
}

func TestLogFileIsReopenedOnHangup(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	log := filepath.Join(h.dir, "agent.log")
	i := h.program("http", "80", "--log", log, "--json")
	i.start(t)
	i.out.wait(t, `"event":"endpoint"`)
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	i.signals <- syscall.SIGHUP
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
	if _, err := os.Stat(log); err != nil {
		t.Errorf("no new file after SIGHUP: %v", err)
	}
	b, err := os.ReadFile(log + ".1")
	if err != nil || !strings.Contains(string(b), `msg="started tunnel"`) {
		t.Errorf("old file %q, %v", b, err)
	}
}

func TestLogThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	path := filepath.Join(h.dir, "none", "agent.log")
	i := h.run(t, "http", "80", "--log", path)
	i.check(t, 1, "--log is not valid: no such file or directory")
	if n := strings.Count(i.err.String(), path); n != 1 {
		t.Errorf("the path stands there %d times: %s", n, i.err)
	}
}

// Closing the terminal must not leave a service public.
func TestHangupStops(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	i := h.program("http", "80")
	i.start(t)
	i.out.wait(t, `msg="started tunnel"`)
	i.signals <- syscall.SIGHUP
	i.signals <- syscall.SIGHUP // a shell and the terminal may both send one
	i.wait(t)
	i.check(t, 0)
}

func TestHangupOfADetachedProgram(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	i := h.program("http", hello(t), "--url", "https://app.example")
	i.program.Detached = true
	hangups := make(chan os.Signal) // taken before the next step
	i.program.Signals = hangups
	i.start(t)
	i.out.wait(t, `msg="started tunnel"`)
	hangups <- syscall.SIGHUP
	hangups <- syscall.SIGHUP // the first one has been dealt with
	w.get(t, "https://app.example")
	hangups <- syscall.SIGINT
	i.wait(t)
	i.check(t, 0)
}

func TestAgent41_SecondSignalIsImmediate(t *testing.T) {
	t.Parallel()
	w, h := newWorld(t, wiretest.Script{}), newHome(t)
	w.connect(t, h, "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	i := h.program("tcp", ln.Addr().String(), "--url", "tcp://t.example:1")
	i.start(t)
	i.out.wait(t, `msg="started tunnel"`)
	st, err := w.server.Dial(t.Context(), "tcp://t.example:1", wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := io.WriteString(st, "x"); err != nil { // the first byte opens it
		t.Fatal(err)
	}
	i.out.wait(t, `msg="join connections"`)
	i.interrupt()
	i.interrupt()
	i.wait(t)
	i.check(t, 0)
}
