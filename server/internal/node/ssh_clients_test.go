package node_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// dialSSH connects a client of the library, with the world's key or as the user token.
func (w *sshWorld) dialSSH(user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	c := &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: sshPatience} //nolint:gosec // a test's own server
	var said strings.Builder
	c.BannerCallback = func(text string) error {
		said.WriteString(text)
		return nil
	}
	client, err := ssh.Dial("tcp", w.Info.SSH.String(), c)
	if err != nil {
		return nil, &refusedError{err, said.String()}
	}
	w.t.Cleanup(func() { _ = client.Close() })
	return client, nil
}

// refusedError is the failure of a login with what the server said.
type refusedError struct {
	error

	said string
}

func (e *refusedError) Error() string { return e.error.Error() + ": " + e.said }

// byKey logs in with the world's key.
func (w *sshWorld) byKey() *ssh.Client {
	w.t.Helper()
	client, err := w.dialSSH("v2", ssh.PublicKeys(w.signer()))
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// run gives a command after asking for a forward, and returns what the server says in the end.
func run(t *testing.T, client *ssh.Client, command, host string, port uint32) string {
	t.Helper()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _, _ = client.SendRequest("tcpip-forward", true, ssh.Marshal(&struct {
			Host string
			Port uint32
		}{host, port}))
	}()
	said, _ := s.CombinedOutput(command) // it fails, mostly
	return string(said)
}

// TestSSH_Commands: what is refused has the reference's code.
func TestSSH_Commands(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	w.register(nil)
	for _, tt := range []struct {
		command, host string
		port          uint32
		want          string
	}{
		{"", "", 0, "ERR_NGROK_1107"},
		{"udp", "", 0, "ERR_NGROK_1108"},
		{"http --oauth google", "", 0, "ERR_NGROK_1109"},
		{"tcp --basic-auth user:password", "", 0, "ERR_NGROK_1109"},
		{"http --name", "", 0, "ERR_NGROK_1110"},
		{"http 'open", "", 0, "ERR_NGROK_1110"},
		{"http", "", 8080, "ERR_NGROK_1113"},
		{"tls", "", 80, "ERR_NGROK_1113"},
		{"tcp --remote-addr localhost:20001", "localhost.test", 20002, "ERR_NGROK_1114"},
		{"tcp --remote-addr localhost:20001", "", 20002, "ERR_NGROK_1115"},
		{"tcp", "culvert.localhost", 0, "ERR_NGROK_1117"},
		{"http --hostname a.culvert.localhost", "b.culvert.localhost", 443, "ERR_NGROK_1118"},
		{"http --subdomain a", "b.culvert.localhost", 443, "ERR_NGROK_1119"},
		{"http --subdomain a --hostname b.culvert.localhost", "", 0, "ERR_NGROK_1120"},
		{"http --upstream-proxy-protocol 3", "", 0, "ERR_NGROK_1123"},
		{"http --traffic-policy-url file:///etc/passwd", "", 0, "ERR_CULVERT_1120"},
		{"http --traffic-policy-url http://127.0.0.1:9/p.yml", "", 0, "ERR_CULVERT_1120"},
		{"http --cidr-deny 10.0.0.0/8", "", 0, "ERR_NGROK_393"},
		{"http", "elsewhere.example.com", 443, "ERR_NGROK_319"},
		{"http --help", "", 0, "--request-header-add"},
	} {
		if said := run(t, w.byKey(), tt.command, tt.host, tt.port); !strings.Contains(said, tt.want) {
			t.Errorf("%q with -R %s:%d: the server says %q, want %s", tt.command, tt.host, tt.port, said, tt.want)
		}
	}
}

// TestSSH_WhoMayLogIn: keys, authtokens, versions, and those who have none of them.
func TestSSH_WhoMayLogIn(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	for _, tt := range []struct {
		name, user, want string
		auth             ssh.AuthMethod
	}{
		{"unknown key", "v2", "ERR_NGROK_1102", ssh.PublicKeys(w.signer())},
		{"version", "v3", "ERR_NGROK_1106", ssh.PublicKeys(w.signer())},
		{"password of nobody", "v2", "ERR_NGROK_1100", ssh.Password(nodetest.Token)},
		{"wrong authtoken", "token", "ERR_NGROK_107", ssh.Password("cvat_abcdefghijklmnopqrstuvwxyz234567")},
		{"command of the name", "v2+udp", "ERR_NGROK_1108", ssh.PublicKeys(w.signer())},
	} {
		if _, err := w.dialSSH(tt.user, tt.auth); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	w.register(nil)
	for _, user := range []string{"v2", "alice", "token", "v2+http"} {
		auth := ssh.PublicKeys(w.signer())
		if user == "token" {
			auth = ssh.Password(nodetest.Token)
		}
		if _, err := w.dialSSH(user, auth); err != nil {
			t.Errorf("the user %s: %v", user, err)
		}
	}
}

// TestSSH_TCPAndTLS: bytes pass both ways, and the end of one way leaves the other.
func TestSSH_TCPAndTLS(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	w.register(nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // the test is over
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // what was echoed is seen
				all, _ := io.ReadAll(c)
				_, _ = c.Write(bytes.ToUpper(all))
			}()
		}
	}()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	url := w.openSSH("-R", "0:127.0.0.1:"+port, "v2@127.0.0.1", "tcp").url()
	addr, ok := strings.CutPrefix(url, "tcp://localhost:")
	if !ok {
		t.Fatalf("the URL is %s", url)
	}
	c, err := w.Dialer().DialContext(t.Context(), "tcp", "127.0.0.1:"+addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test is over
	text := strings.Repeat("forward ", 40_000)
	go func() {
		_, _ = io.WriteString(c, text)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != strings.ToUpper(text) {
		t.Errorf("tcp: got %d bytes, %v; want the %d sent", len(got), err, len(text))
	}
	web := service(t, "plain")
	url = w.openSSH("-R", "app.culvert.localhost:443:127.0.0.1:"+web, "v2@127.0.0.1", "tls", "--terminate-at", "edge").url()
	if status, body := w.get("https" + strings.TrimPrefix(url, "tls")); status != http.StatusOK || body != "plain" {
		t.Errorf("tls: got %d %q, want 200 plain", status, body)
	}
}

// TestSSH_SeveralForwards: each -R of one connection leads to its own service.
func TestSSH_SeveralForwards(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	w.register(nil)
	first, second := service(t, "first"), service(t, "second")
	c := w.openSSH("-R", "0:127.0.0.1:"+first, "-R", "0:127.0.0.1:"+second, "v2@127.0.0.1", "http", "--request-header-add", "'x-from: ssh'")
	for _, want := range []string{"first", "second"} {
		if _, body := w.get(c.url()); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	if got := len(w.API().List("/endpoints")); got != 2 {
		t.Errorf("there are %d endpoints, want 2", got)
	}
}

// TestAPI37_SSHSession: a session of an SSH client can be stopped, and not restarted or updated.
func TestAPI37_SSHSession(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	w.register(nil)
	c := w.openSSH("-R", "0:127.0.0.1:"+service(t, "x"), "v2@127.0.0.1", "http")
	url := c.url()
	id, _ := w.API().List("/tunnel_sessions")[0]["id"].(string)
	for action, want := range map[string]string{"restart": "ERR_NGROK_1122", "update": "ERR_NGROK_1121"} {
		status, _, answer := w.API().Do(http.MethodPost, "/tunnel_sessions/"+id+"/"+action, "{}")
		if status != http.StatusBadRequest || answer["error_code"] != want {
			t.Errorf("%s: got %d %v, want 400 %s", action, status, answer, want)
		}
	}
	w.API().Must(http.StatusNoContent, http.MethodPost, "/tunnel_sessions/"+id+"/stop", "{}")
	if status, said := c.end(); status != 1 || !strings.Contains(said, "ERR_CULVERT_1121") {
		t.Errorf("stopped: got status %d and %q", status, said)
	}
	if status, _ := w.get(url); status != http.StatusNotFound {
		t.Errorf("GET after the stop: got %d, want 404", status)
	}
}

// TestSSH_CredentialsRule: the acl of a key counts for its forwards, and a deleted key ends them.
func TestSSH_CredentialsRule(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	id := w.register(map[string]any{"acl": []string{"bind:*.team.culvert.localhost"}})
	port := service(t, "x")
	if _, said := w.openSSH("-R", "app.culvert.localhost:443:127.0.0.1:"+port, "v2@127.0.0.1", "http").end(); !strings.Contains(said, "ERR_NGROK_316") {
		t.Errorf("a name that the acl does not allow: %q, want ERR_NGROK_316", said)
	}
	c := w.openSSH("-R", "a.team.culvert.localhost:443:127.0.0.1:"+port, "v2@127.0.0.1", "http")
	_ = c.url()
	for field, want := range map[string]string{w.pub: "ERR_NGROK_609", " ": "ERR_NGROK_611", "ssh-ed25519 AAAA": "ERR_NGROK_612"} {
		status, _, answer := w.API().Do(http.MethodPost, "/ssh_credentials", `{"public_key":"`+field+`"}`)
		if status != http.StatusBadRequest || answer["error_code"] != want {
			t.Errorf("registering %q: got %d %v, want 400 %s", field, status, answer, want)
		}
	}
	other := w.NewAccount("other")
	status, _, answer := other.Do(http.MethodPost, "/ssh_credentials", `{"public_key":"`+w.pub+`"}`)
	if status != http.StatusBadRequest || answer["error_code"] != "ERR_NGROK_610" {
		t.Errorf("the key of another account: got %d %v, want 400 ERR_NGROK_610", status, answer)
	}
	w.API().Must(http.StatusNoContent, http.MethodDelete, "/ssh_credentials/"+id, "")
	if status, said := c.end(); status != 1 || !strings.Contains(said, "ERR_CULVERT_1122") {
		t.Errorf("after the key was deleted: got status %d and %q", status, said)
	}
}

// TestSSH_HostileClients: what a client may not do costs it its connection at most, and others nothing.
func TestSSH_HostileClients(t *testing.T) {
	t.Parallel()
	w := startSSH(t, func(c *node.Config) {
		c.SSH.LoginTime, c.SSH.SetupTime, c.SSH.Forwards, c.SSH.PendingPerSource = 5*time.Second, time.Second, 2, 1
	})
	w.register(nil)

	silent, err := net.Dial("tcp", w.Info.SSH.String()) //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // the test is over
	_ = silent.SetReadDeadline(time.Now().Add(sshPatience))
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Errorf("a client that does not log in is not sent away: %v", err)
	}

	idle := w.byKey()
	if _, _, err := idle.OpenChannel("direct-tcpip", nil); err == nil {
		t.Error("a client may connect to elsewhere")
	}
	if err := idle.Wait(); err == nil {
		t.Error("a client that asks for nothing is not sent away")
	}

	flood := w.byKey()
	go func() {
		for range 10_000 {
			if _, _, err := flood.SendRequest("tcpip-forward", false, ssh.Marshal(&struct {
				Host string
				Port uint32
			}{"", 0})); err != nil {
				return
			}
		}
	}()
	if err := flood.Wait(); err == nil {
		t.Error("a client that floods the server with requests is not sent away")
	}

	twice := w.byKey()
	first, err := twice.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() //nolint:errcheck // the test is over
	if _, err := twice.NewSession(); err == nil || !strings.Contains(err.Error(), "ERR_NGROK_1104") {
		t.Errorf("a second session: got %v, want ERR_NGROK_1104", err)
	}

	many := w.byKey()
	go func() {
		for range 3 {
			_, _ = many.Listen("tcp", "127.0.0.1:0")
		}
	}()
	s, err := many.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	said, _ := s.CombinedOutput("http")
	if !strings.Contains(string(said), "ERR_NGROK_1105") {
		t.Errorf("three forwards where two are allowed: %q, want ERR_NGROK_1105", said)
	}

	ctx, cancel := context.WithTimeout(t.Context(), sshPatience)
	defer cancel()
	for len(w.API().List("/endpoints")) > 0 {
		if ctx.Err() != nil {
			t.Fatal("endpoints are left behind")
		}
	}
}

// TestSSH_HostKeyStays: clients know the server again after it was started anew.
func TestSSH_HostKeyStays(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	before := w.Info.SSHFingerprint
	w.Restart()
	if before == "" || w.Info.SSHFingerprint != before {
		t.Errorf("the fingerprint of the host key was %q and is %q", before, w.Info.SSHFingerprint)
	}
}

// TestSSH_OwnersRule: a key goes with the service user whose it is.
func TestSSH_OwnersRule(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	owner := w.API().Create("/service_users", map[string]any{"name": "machine"})
	id := w.register(map[string]any{"owner_id": owner})
	client := w.byKey()
	w.API().Must(http.StatusOK, http.MethodPatch, "/service_users/"+owner, `{"active":false}`)
	if err := client.Wait(); err == nil {
		t.Error("the client of an inactive owner is not sent away")
	}
	if _, err := w.dialSSH("v2", ssh.PublicKeys(w.signer())); err == nil || !strings.Contains(err.Error(), "ERR_NGROK_636") {
		t.Errorf("the key of an inactive owner: got %v, want ERR_NGROK_636", err)
	}
	w.API().Must(http.StatusNoContent, http.MethodDelete, "/service_users/"+owner, "")
	if status, _, _ := w.API().Do(http.MethodGet, "/ssh_credentials/"+id, ""); status != http.StatusNotFound {
		t.Errorf("the key of an owner who was deleted: got %d, want 404", status)
	}
}
